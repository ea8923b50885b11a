//! The connections to one file: one that writes, some that read.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use sqlx::{
    SqliteConnection, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use storage::{Bus, Result, StorageError};

use crate::{failed, files::make_private};

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How many connections read, at most; they are opened when they are needed.
    pub readers: u32,
    /// How long a call waits for a connection, and for another process that writes.
    pub patience: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { readers: 4, patience: Duration::from_secs(5) }
    }
}

/// An open file with its schema up to date.
pub(crate) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    pub(crate) async fn open(path: &Path, options: OpenOptions, schema: &Migrator) -> Result<Self> {
        make_private(path).map_err(StorageError::unavailable)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(options.patience)
            .pragma("trusted_schema", "OFF")
            .pragma("secure_delete", "ON");
        // With a write-ahead log, NORMAL already survives the death of the process, kill -9 included: what
        // was written is with the operating system. But it syncs only at checkpoints, so the last commits
        // are lost when the machine loses power, and here the last commit may be a revocation or the use
        // of a code, which must not come back. FULL syncs the log at each commit.
        let write = connect.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = pool(1, options.patience).connect_with(write).await.map_err(failed)?;
        migrate(&writer, schema).await?;
        let readers = pool(options.readers.max(1), options.patience).connect_lazy_with(connect.read_only(true));
        Ok(Self { writer, readers })
    }

    /// Begins a transaction that writes. It waits for its turn here and not at its first write, where
    /// waiting would fail if another process had committed since its first read.
    pub(crate) async fn write(&self, bus: Arc<dyn Bus>) -> Result<Write> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        Ok(Write { transaction, bus, changed: false })
    }

    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// How to read a file beside whoever writes to it. It is not made, and nothing about it is changed.
pub(crate) fn beside(path: &Path, options: OpenOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(options.patience)
}

fn pool(connections: u32, patience: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(patience)
        .max_lifetime(None)
        // A file does not go away as a server does.
        .test_before_acquire(false)
}

/// Brings the schema up to date. A migration that power took away again is made again at the next start,
/// so these commits need not be synced one by one, and a first start is the faster for it.
async fn migrate(writer: &SqlitePool, schema: &Migrator) -> Result<()> {
    let mut connection = writer.acquire().await.map_err(failed)?;
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await.map_err(failed)?;
    schema.run(&mut *connection).await.map_err(|error| cannot_migrate(error, schema))?;
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await.map_err(failed)?;
    Ok(())
}

fn cannot_migrate(error: MigrateError, schema: &Migrator) -> StorageError {
    let newest = schema.iter().map(|migration| migration.version).max().unwrap_or_default();
    match error {
        MigrateError::VersionMissing(version) if version > newest => {
            StorageError::Newer(format!("its schema is {version}, this version knows {newest}"))
        }
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            StorageError::damaged("the schema", "it was made by other migrations than this version has")
        }
        other => StorageError::unavailable(other),
    }
}

/// A transaction that writes. Dropped without [`commit`](Self::commit), nothing of it stays.
pub(crate) struct Write {
    transaction: Transaction<'static, sqlx::Sqlite>,
    bus: Arc<dyn Bus>,
    changed: bool,
}

impl Write {
    pub(crate) fn on(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Notes that the feed was appended to.
    pub(crate) fn note_change(&mut self) {
        self.changed = true;
    }

    pub(crate) async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(failed)?;
        if self.changed {
            self.bus.hint();
        }
        Ok(())
    }
}
