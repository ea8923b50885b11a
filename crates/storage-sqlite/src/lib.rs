//! The store over SQLite: what `portico up` runs on.
//!
//! Two files: one with the data, one with the wrapped data keys ([`SqliteKeys`]), so that a copy of the
//! data holds no key. In the data file secrets are hashed or sealed.
//!
//! Invariants:
//! - All writes go through one connection and start with `BEGIN IMMEDIATE`, so a transaction never fails
//!   half-way because somebody else was writing, and the change feed is numbered in commit order.
//! - Reads go through connections that cannot write.
//! - The bus gets a hint after each commit that appended to the feed, never before.

mod admissions;
mod archive;
mod audit;
mod clients;
mod columns;
mod connections;
mod database;
mod feed;
mod files;
mod grants;
mod key_value;
mod keys;
mod maintenance;
mod replicas;
mod resource_credentials;
mod row;
mod servers;
mod shredding;
mod signing;
mod tenants;
mod trimming;
mod usage;
mod users;

use std::{fmt, path::Path, sync::Arc};

use model::Clock;
use sqlx::migrate::Migrator;
use storage::{Bus, Result, Sealer, repo::Repos};

pub use crate::{archive::SqliteArchive, database::OpenOptions, keys::SqliteKeys};
use crate::{database::Database, row::failed};

/// The schema of the data file.
static SCHEMA: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The store over one SQLite file. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    database: Database,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn Bus>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sqlite")
    }
}

impl Sqlite {
    /// Opens the file at `path` in an existing directory, makes it if there is none, and brings its
    /// schema up to date. Fails with [`Newer`](storage::StorageError::Newer) when a newer version of
    /// Portico wrote it, and with [`WrongMasterKey`](storage::StorageError::WrongMasterKey) when it was
    /// sealed with other keys than `sealer` has.
    pub async fn open(
        path: &Path,
        options: OpenOptions,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
        bus: Arc<dyn Bus>,
    ) -> Result<Self> {
        let database = Database::open(path, options, &SCHEMA).await?;
        let store = Self(Arc::new(Inner { database, sealer, clock, bus }));
        store.check_canary().await?;
        Ok(store)
    }

    /// All repositories of this store.
    pub fn repos(&self) -> Repos {
        let store = Arc::new(self.clone());
        Repos {
            users: store.clone(),
            tenants: store.clone(),
            admissions: store.clone(),
            servers: store.clone(),
            connections: store.clone(),
            clients: store.clone(),
            grants: store.clone(),
            signing: store.clone(),
            resource_credentials: store.clone(),
            audit: store.clone(),
            usage: store.clone(),
            changes: store.clone(),
            replicas: store,
        }
    }

    /// Waits for running calls, moves the log into the file and closes it.
    pub async fn close(&self) {
        self.0.database.close().await;
    }

    /// Begins a transaction that writes.
    async fn write(&self) -> Result<database::Write> {
        self.0.database.write(self.0.bus.clone()).await
    }

    /// The connections that read.
    fn read(&self) -> &sqlx::SqlitePool {
        self.0.database.readers()
    }
}

#[cfg(test)]
mod tests;
