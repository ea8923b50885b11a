//! The store over Postgres: what production runs on, with any number of replicas.
//!
//! Wrapped data keys are in a schema of their own, or in another database ([`PostgresKeys`]). In the data
//! secrets are hashed or sealed.
//!
//! Invariants:
//! - Every statement has a deadline on this side, kept in one place (`database::lease`); a connection that
//!   missed it, broke, or was left in the middle of something is never used again.
//! - An answer is read to its end before it is believed, so that whatever was acknowledged is committed.
//! - Transactions that write run at `READ COMMITTED` and lock the rows that they decide on; none is ever
//!   asked to try again.
//! - Changes are numbered by the last statement of their transaction, under a lock that the commit
//!   releases, so the feed is numbered in commit order. The hint is part of the commit.

mod admissions;
mod archive;
mod audit;
mod bus;
mod clients;
mod columns;
mod connections;
mod database;
mod failure;
mod feed;
mod grants;
mod key_value;
mod keys;
mod locks;
mod maintenance;
mod migrating;
mod options;
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

use std::{fmt, sync::Arc};

use model::Clock;
use storage::{Bus, Result, Sealer, repo::Repos};

pub use crate::{
    archive::PostgresArchive,
    keys::PostgresKeys,
    migrating::Migrated,
    options::{InvalidUrl, PostgresOptions},
};
use crate::{
    bus::Notifications,
    database::{Database, Hints, Snapshot, Write},
    row::failed,
};

/// The store over one Postgres database. Cheap to clone.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    database: Database,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn Bus>,
    /// Held so that the connection that listens lives as long as the store; none when hints go elsewhere.
    notifications: Option<Arc<Notifications>>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postgres")
    }
}

impl Postgres {
    /// Brings the schema up to date, one caller at a time: of several replicas that start at once one
    /// migrates, and the others find nothing to do.
    pub async fn migrate(options: &PostgresOptions) -> Result<Migrated> {
        migrating::migrate(options, &migrating::DATA).await
    }

    /// Connects to a database whose schema is up to date. Hints go over `bus`, or, without one, over
    /// `LISTEN` and `NOTIFY`.
    ///
    /// Fails with [`Newer`](storage::StorageError::Newer) when a newer version migrated the database, with
    /// [`Missing`](storage::StorageError::Missing) when it was not migrated up to this version, and with
    /// [`WrongMasterKey`](storage::StorageError::WrongMasterKey) when it was sealed with other keys than
    /// `sealer` has.
    pub async fn connect(
        options: &PostgresOptions,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
        bus: Option<Arc<dyn Bus>>,
    ) -> Result<Self> {
        let (hints, bus, notifications) = if let Some(bus) = bus {
            (Hints::Over(bus.clone()), bus, None)
        } else {
            let notifications = Arc::new(Notifications::listen(options)?);
            (Hints::Notify, notifications.clone() as Arc<dyn Bus>, Some(notifications))
        };
        let database = Database::connect(options, hints)?;
        migrating::check(&database, &migrating::DATA).await?;
        let store = Self(Arc::new(Inner { database, sealer, clock, bus, notifications }));
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
            changes: store.clone(),
            replicas: store.clone(),
            usage: store,
        }
    }

    /// What hints travel over.
    pub fn bus(&self) -> Arc<dyn Bus> {
        self.0.bus.clone()
    }

    /// Waits for running calls, a few seconds at most, and closes every connection.
    pub async fn close(&self) {
        if let Some(notifications) = &self.0.notifications {
            notifications.stop();
        }
        self.0.database.close().await;
    }

    /// What seals secret columns.
    fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// Begins a transaction that writes. Dropped without [`Write::commit`], nothing of it stays.
    async fn write(&self) -> Result<Write> {
        self.0.database.write().await
    }

    /// Begins a transaction that reads several things as they were at one moment.
    async fn snapshot(&self) -> Result<Snapshot> {
        self.0.database.snapshot().await
    }

    /// Where single statements run, each on whatever connection is free; a writing one is committed when its
    /// answer is there.
    fn read(&self) -> &Database {
        &self.0.database
    }
}

#[cfg(test)]
mod tests;
