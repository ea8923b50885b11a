//! The checked queries of the SQL backends: what the query macros learnt from a database is committed in
//! each crate's `.sqlx`, so that no other build needs one.

use std::{collections::BTreeMap, fs, path::Path, process};

use anyhow::{Context as _, Result};
use services::{Durability, Postgres, must};

use crate::{command::cargo, machine::Machine};

/// A backend whose queries are checked.
struct Backend {
    package: &'static str,
    migrations: [&'static str; 2],
    /// What its `sqlx.toml` calls the address of the database.
    variable: &'static str,
}

const SQLITE: Backend = Backend {
    package: "storage-sqlite",
    migrations: ["migrations/sqlite", "migrations/sqlite-keys"],
    variable: "SQLITE_DATABASE_URL",
};

const POSTGRES: Backend = Backend {
    package: "storage-postgres",
    migrations: ["migrations/postgres", "migrations/postgres-keys"],
    variable: "POSTGRES_DATABASE_URL",
};

/// Asks fresh databases about every query and writes down the answers; with `check`, only says whether the
/// committed ones still hold.
pub(crate) fn run(machine: &Machine, check: bool) -> Result<bool> {
    let work = tempfile::tempdir()?;
    let file = format!("sqlite://{}", work.path().join("schema.db").display());
    let sqlite = answer(machine, &SQLITE, &file, check)?;
    let server = Postgres::start(Durability::Fast)?;
    let postgres = answer(machine, &POSTGRES, &server.url(), check)?;
    Ok(sqlite && postgres)
}

/// One backend's answers; `url` leads to an empty database.
fn answer(machine: &Machine, backend: &Backend, url: &str, check: bool) -> Result<bool> {
    let fresh = tempfile::tempdir()?;
    must(
        cargo(machine, &["run", "--locked", "--quiet", "--package", "xtask", "--example", "schema", "--", url])
            .args(backend.migrations),
    )?;
    // A flag that no build had before, because cargo does not know that the database is another one, and
    // would find nothing to do.
    let unlike = format!("queries_asked_by_{}", process::id());
    must(
        cargo(machine, &["rustc", "--locked", "--quiet", "--package", backend.package, "--lib", "--profile", "check"])
            .args(["--", "--cfg", &unlike])
            .env("SQLX_OFFLINE_DIR", fresh.path())
            .env("SQLX_OFFLINE", "false")
            .env(backend.variable, url),
    )?;

    let committed = machine.root.join("crates").join(backend.package).join(".sqlx");
    let (new, old) = (answers(fresh.path())?, answers(&committed)?);
    if new == old {
        println!("{}: {} queries, as committed", backend.package, new.len());
        return Ok(true);
    }
    for name in new.keys().chain(old.keys()).filter(|name| new.get(*name) != old.get(*name)) {
        println!("crates/{}/.sqlx/{name} differs", backend.package);
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
