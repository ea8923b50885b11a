//! The checked queries of `storage-sqlite`: what the query macros learnt from a database is committed in
//! its `.sqlx`, so that no other build needs one.

use std::{collections::BTreeMap, fs, path::Path, process};

use anyhow::{Context as _, Result};
use services::must;

use crate::{command::cargo, machine::Machine};

const CRATE: &str = "crates/storage-sqlite";
const MIGRATIONS: [&str; 2] = ["migrations/sqlite", "migrations/sqlite-keys"];

/// Asks a fresh database about every query and writes down the answers; with `check`, only says whether
/// the committed ones still hold.
pub(crate) fn run(machine: &Machine, check: bool) -> Result<bool> {
    let work = tempfile::tempdir()?;
    let database = work.path().join("schema.db");
    let fresh = work.path().join("sqlx");
    fs::create_dir(&fresh)?;
    must(
        cargo(machine, &["run", "--locked", "--quiet", "--package", "xtask", "--example", "sqlite-schema", "--"])
            .arg(&database)
            .args(MIGRATIONS),
    )?;
    // A flag that no build had before, because cargo does not know that the database is another one, and
    // would find nothing to do.
    let unlike = format!("queries_asked_by_{}", process::id());
    must(
        cargo(machine, &["rustc", "--locked", "--quiet", "--package", "storage-sqlite", "--lib", "--profile", "check"])
            .args(["--", "--cfg", &unlike])
            .env("SQLX_OFFLINE_DIR", &fresh)
            .env("SQLX_OFFLINE", "false")
            .env("SQLITE_DATABASE_URL", format!("sqlite://{}", database.display())),
    )?;

    let committed = machine.root.join(CRATE).join(".sqlx");
    let (new, old) = (answers(&fresh)?, answers(&committed)?);
    if new == old {
        println!("{} queries, as committed", new.len());
        return Ok(true);
    }
    for name in new.keys().chain(old.keys()).filter(|name| new.get(*name) != old.get(*name)) {
        println!("{CRATE}/.sqlx/{name} differs");
    }
    if !check {
        replace(&committed, &new)?;
    }
    Ok(!check)
}

/// The files of a directory and what is in them; none if there is no directory.
fn answers(dir: &Path) -> Result<BTreeMap<String, String>> {
    if !dir.exists() {
        return Ok(BTreeMap::new());
    }
    fs::read_dir(dir)?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a file name is not UTF-8")?;
            Ok((name, fs::read_to_string(entry.path())?))
        })
        .collect()
}

fn replace(dir: &Path, with: &BTreeMap<String, String>) -> Result<()> {
    fs::create_dir_all(dir)?;
    for name in answers(dir)?.keys().filter(|name| !with.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, answer) in with {
        fs::write(dir.join(name), answer)?;
    }
    Ok(())
}
