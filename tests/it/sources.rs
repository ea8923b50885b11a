//! Habits that hold for every source file.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// More lines than this need a reason in the file's header, after the words `Longer than 400 lines:`.
const LIMIT: usize = 400;

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_file_is_long_without_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    for part in ["crates", "tests", "xtask"] {
        rust_files(&root.join(part), &mut files);
    }
    assert!(files.len() > 100, "the files are not where they are looked for");
    let long: Vec<_> = files
        .iter()
        .filter(|file| {
            let text = fs::read_to_string(file).expect("source is text");
            let header: String = text.lines().take_while(|line| line.starts_with("//")).collect();
            text.lines().count() > LIMIT && !header.contains("Longer than 400 lines:")
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Backups leave out what may be lost, and know it from the lists.
#[test]
fn every_collection_is_in_the_list_of_its_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files);
    let tests = |file: &PathBuf| file.ends_with("tests.rs") || file.iter().any(|part| part == "tests");
    let stored: usize = files
        .iter()
        .filter(|file| !tests(file))
        .map(|file| fs::read_to_string(file).expect("source is text").matches("\nimpl Stored for ").count())
        .sum();
    let mut names: Vec<_> = auth::COLLECTIONS.iter().map(|collection| collection.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((stored, names.len()), (auth::COLLECTIONS.len(), auth::COLLECTIONS.len()));
}
