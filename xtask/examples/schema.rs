//! Makes a database with the schema of every migration, for `cargo xtask sqlx`: the query macros ask it
//! about their queries. An example, so that the developer commands themselves need no database.
//!
//! Applies the files as they are and does not use the backends, which may not compile before this ran.

use std::{
    env, fs,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().context("usage: schema URL MIGRATIONS…")?;
    let folders: Vec<_> = arguments.map(PathBuf::from).collect();
    if url.starts_with("postgres:") { postgres(&url, &folders).await } else { sqlite(&url, &folders).await }
}

async fn sqlite(url: &str, folders: &[PathBuf]) -> Result<()> {
    let options = SqliteConnectOptions::from_str(url)?.create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await?;
    for (file, sql) in migrations(folders)? {
        let applied = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await;
        applied.with_context(|| file.display().to_string())?;
    }
    Ok(database.close().await?)
}

async fn postgres(url: &str, folders: &[PathBuf]) -> Result<()> {
    let mut database = PgConnection::connect(url).await?;
    // Made by whoever migrates and not by a migration: the list of applied migrations is in it.
    sqlx::raw_sql("CREATE SCHEMA portico_keys").execute(&mut database).await?;
    for (file, sql) in migrations(folders)? {
        let applied = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await;
        applied.with_context(|| file.display().to_string())?;
    }
    Ok(database.close().await?)
}

/// The migrations of each folder, in order.
fn migrations(folders: &[PathBuf]) -> Result<Vec<(PathBuf, String)>> {
    let mut all = Vec::new();
    for folder in folders {
        let mut files: Vec<_> = list(folder).with_context(|| folder.display().to_string())?;
        files.sort();
        for file in files {
            let sql = fs::read_to_string(&file)?;
            all.push((file, sql));
        }
    }
    Ok(all)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}
