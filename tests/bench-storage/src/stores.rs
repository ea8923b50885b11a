//! The stores under test, and what they stand on.

use std::sync::Arc;

use anyhow::Context as _;
use model::{Clock, Entropy, OsEntropy, Secret, SystemClock, TenantId};
use storage::{Collection, Durability, KeyValue, LocalBus, MasterKey, MasterKeys, Memory, Owner, Sealer, WrappedKeys};
use storage_postgres::{Postgres, PostgresOptions};
use storage_redis::{Redis, RedisOptions};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};
use tempfile::TempDir;

/// Whose values they are, sealed with keys in a file.
pub(crate) struct Workbench {
    /// What seals.
    pub(crate) sealer: Arc<Sealer>,
    /// Whose values they are.
    pub(crate) owner: Owner,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
    home: TempDir,
}

impl Workbench {
    /// The values' collection.
    pub(crate) const VALUES: Collection =
        Collection { name: "bench", durability: Durability::Durable, format: 1, reads: &[] };

    /// In a directory of its own.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("bench").tempdir()?;
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let keys: Arc<dyn WrappedKeys> =
            Arc::new(SqliteKeys::open(&home.path().join("keys.db"), OpenOptions::default()).await?);
        let master: MasterKeys = MasterKey::new([7; 32]).into();
        let owner = Owner::Tenant(TenantId::new(&*clock, &*entropy));
        let sealer = Sealer::open_ring(Arc::new(master), keys, Arc::clone(&clock), entropy).await?;
        // Makes the owner's key.
        sealer.seal(owner, b"", b"").await?;
        Ok(Self { sealer: Arc::new(sealer), owner, clock, home })
    }

    /// In this process.
    pub(crate) fn memory(&self) -> Arc<dyn KeyValue> {
        Arc::new(Memory::new(Arc::clone(&self.clock)))
    }

    /// A file, with the durability of the product.
    pub(crate) async fn sqlite(&self) -> anyhow::Result<Arc<dyn KeyValue>> {
        let (path, options) = (self.home.path().join("data.db"), OpenOptions::default());
        let (sealer, clock) = (Arc::clone(&self.sealer), Arc::clone(&self.clock));
        let sqlite = Sqlite::open(&path, options, sealer, clock, Arc::new(LocalBus::default())).await?;
        Ok(Arc::new(sqlite))
    }

    /// A server, with the product's defaults.
    pub(crate) async fn postgres(&self, url: Secret) -> anyhow::Result<Arc<dyn KeyValue>> {
        let options = PostgresOptions::new(url);
        Postgres::migrate(&options).await.context("the database cannot be migrated")?;
        let (sealer, clock) = (Arc::clone(&self.sealer), Arc::clone(&self.clock));
        Ok(Arc::new(Postgres::connect(&options, sealer, clock, None).await.context("Postgres")?))
    }

    /// A server, with the product's defaults.
    pub(crate) async fn redis(&self, url: Secret) -> anyhow::Result<Arc<dyn KeyValue>> {
        let options = RedisOptions { url, pool: 4, ca: None, prefix: "portico".to_owned() };
        Ok(Arc::new(Redis::connect(options, Arc::clone(&self.clock)).await.context("Redis")?))
    }
}
