//! Migrations that were merged: they never change, and both dialects have the same ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use sha2::{Digest as _, Sha256};

/// Each with the folder of the other dialect.
const FOLDERS: [(&str, &str); 2] = [("sqlite", "postgres"), ("sqlite-keys", "postgres-keys")];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).join(name)
}

/// The names of a folder's files.
fn names(name: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder(name)).unwrap_or_else(|error| panic!("migrations/{name}: {error}"));
    files.map(|file| file.expect("an entry").file_name().into_string().expect("a name in UTF-8")).collect()
}

/// What there is: checksums by path below `migrations`.
fn present() -> BTreeMap<String, String> {
    let folders = FOLDERS.iter().flat_map(|(one, other)| [one, other]);
    let paths = folders.flat_map(|name| names(name).into_iter().map(move |file| format!("{name}/{file}")));
    paths
        .map(|path| {
            let digest = Sha256::digest(fs::read(folder(&path)).expect("a migration"));
            (path, tests::hex(&digest))
        })
        .collect()
}

/// What is written down, as `sha256sum` has it: checksum, two spaces, path.
fn merged() -> BTreeMap<String, String> {
    let list = fs::read_to_string(folder("SHA256SUMS")).expect("the list");
    let line = |line: &str| {
        let (sum, path) = line.split_once("  ").unwrap_or_else(|| panic!("not a line of sha256sum: {line}"));
        (path.to_owned(), sum.to_owned())
    };
    list.lines().map(line).collect()
}

/// Somebody's database was made by these very bytes: one that changes makes it `Damaged` at the next start.
#[test]
fn a_merged_migration_never_changes() {
    let (present, merged) = (present(), merged());
    let mut faults = Vec::new();
    for (path, sum) in &merged {
        match present.get(path) {
            None => faults.push(format!("{path} is gone: databases were made by it; put it back")),
            Some(now) if now != sum => faults.push(format!(
                "{path} was changed: databases were made by it as it was; put it back and write a new migration"
            )),
            Some(_) => {}
        }
    }
    for (path, sum) in present.iter().filter(|(path, _)| !merged.contains_key(*path)) {
        faults.push(format!(
            "{path} is new: once it is as it should be for good, add to migrations/SHA256SUMS\n{sum}  {path}"
        ));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn both_dialects_have_the_same_migrations() {
    for (one, other) in FOLDERS {
        assert_eq!(names(one), names(other), "migrations/{one} and migrations/{other} have files of the same names");
    }
}

/// Fourteen digits, words, `.sql`: sqlx applies them in the order of their numbers, each number once.
#[test]
fn migrations_are_numbered() {
    for name in FOLDERS.iter().flat_map(|(one, other)| [one, other]) {
        let mut numbers = BTreeSet::new();
        for file in names(name) {
            let parts = file.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
            let (number, words) = parts.unwrap_or_else(|| panic!("{name}/{file} is not NUMBER_WORDS.sql"));
            assert!(number.len() == 14 && number.bytes().all(|byte| byte.is_ascii_digit()), "{name}/{file}");
            assert!(words.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}/{file}");
            assert!(numbers.insert(number.to_owned()), "{name} has {number} twice");
        }
        assert!(!numbers.is_empty());
    }
}
