//! Makes an SQLite file with the schema of every migration, for `cargo xtask sqlx`: the query macros ask
//! it about their queries. An example, so that the developer commands themselves need no database.
//!
//! Applies the files as they are and does not use `storage-sqlite`, which may not compile before this ran.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let file = arguments.next().context("usage: sqlite-schema FILE MIGRATIONS…")?;
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await?;
    for migrations in arguments {
        let mut files: Vec<_> = fs::read_dir(&migrations)
            .with_context(|| migrations.display().to_string())?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.sort();
        for file in files {
            let sql = fs::read_to_string(&file)?;
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut database)
                .await
                .with_context(|| file.display().to_string())?;
        }
    }
    database.close().await?;
    Ok(())
}
