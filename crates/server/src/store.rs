//! The store that is configured, open. The only place that names a backend.

pub(crate) mod archives;
mod embedded;
mod master;
mod place;
mod shared;

use std::{fmt, sync::Arc};

use model::{Clock, Entropy, OsEntropy, SystemClock};
use registry::Registry;
use storage::{
    Bus, KeyValue, Maintenance, SealedColumns, Sealer, WrappedKeys,
    repo::Repos,
    usage::{UsageQueue, UsageSpool},
};

use crate::{
    DataDir,
    config::{Config, PostgresConfig, StorageConfig},
};

pub(crate) use self::place::places;
pub use self::shared::migrate;
use self::{embedded::Embedded, shared::Shared};

/// Everything that is remembered: records, values, keys, and what says that something changed. Tests may
/// put parts of their own in its place before anything is [built](crate::wiring::build) on it.
#[derive(Clone, Debug)]
pub struct Store {
    /// The records.
    pub repos: Repos,
    /// Values by place, all of them sealed.
    pub kv: Arc<dyn KeyValue>,
    /// What seals them.
    pub sealer: Arc<Sealer>,
    /// The keys that seal, wrapped.
    pub keys: Arc<dyn WrappedKeys>,
    /// What says that something changed.
    pub bus: Arc<dyn Bus>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What has to be cleaned up now and then.
    pub maintenance: Vec<Arc<dyn Maintenance>>,
    /// The secret columns of the records.
    pub columns: Vec<Arc<dyn SealedColumns>>,
    /// Where counts of calls go.
    pub spool: Arc<dyn UsageSpool>,
    /// Where they come out again, when they go by way of somebody else.
    pub queue: Option<Arc<dyn UsageQueue>>,
    /// What can be away by itself.
    pub backends: Vec<Backend>,
    opened: Opened,
}

/// A server or file that can be away, and how to ask whether it is there.
#[derive(Clone, Debug)]
pub struct Backend {
    /// What operators call it: `postgres`, `redis`.
    pub name: &'static str,
    /// Where it is, for the log.
    pub place: String,
    /// How it is asked.
    pub probe: Probe,
}

/// A cheap question to a backend.
#[derive(Clone, Debug)]
pub enum Probe {
    /// The head of its change feed.
    Records(Arc<dyn storage::repo::Changes>),
    /// A value that is not there.
    Values(Arc<dyn KeyValue>),
    /// The platform's wrapped keys.
    Keys(Arc<dyn WrappedKeys>),
}

/// What has to be closed.
#[derive(Clone)]
enum Opened {
    Embedded(Embedded),
    Shared(Shared),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded(_) => "Embedded",
            Self::Shared(_) => "Shared",
        })
    }
}

impl Store {
    /// Opens the configured store with the machine's clock and randomness. The embedded one is made when it
    /// is not there; Postgres has to be [migrated](migrate).
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        Self::open_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await
    }

    /// The same, with a clock and randomness of the caller's.
    pub async fn open_with(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> anyhow::Result<Self> {
        match &config.storage {
            StorageConfig::Sqlite => {
                let dir = DataDir::open(&config.data)?;
                embedded::open(&dir, &config.master, clock, entropy).await
            }
            StorageConfig::Postgres(postgres) => {
                let master = master::given(&config.master)?;
                shared::open(postgres, config.redis.as_ref(), master, clock, entropy).await
            }
        }
    }

    /// The rules over these records.
    pub fn registry(&self) -> Registry {
        Registry::new(self.repos.clone(), Arc::clone(&self.clock), Arc::clone(&self.entropy))
    }

    /// Waits for running calls, as long as a deadline at most, and closes everything.
    pub async fn close(&self) {
        match &self.opened {
            Opened::Embedded(embedded) => embedded.close().await,
            Opened::Shared(shared) => shared.close().await,
        }
    }
}

impl Config {
    /// The settings of Postgres, where that is the store.
    pub(crate) fn postgres(&self) -> Option<&PostgresConfig> {
        match &self.storage {
            StorageConfig::Postgres(postgres) => Some(postgres),
            StorageConfig::Sqlite => None,
        }
    }
}
