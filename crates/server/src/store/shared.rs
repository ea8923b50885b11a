//! Postgres, and Redis for what may be lost, shared by any number of replicas.

use std::sync::Arc;

use anyhow::Context as _;
use model::{Clock, Entropy, ReplicaId, Secret};
use storage::{
    KeyValue, Maintenance, MasterKeySource, Sealed, SealedColumns, Sealer, Split, StorageError, WrappedKeys,
    usage::{Direct, UsageSpool},
};
use storage_postgres::{Postgres, PostgresKeys, PostgresOptions};
use storage_redis::{Redis, RedisOptions};

use super::{Backend, Opened, Probe, Store};
use crate::config::{PostgresConfig, RedisConfig};

/// How many connections a replica needs for wrapped keys: they are read once per owner.
const KEYS_CONNECTIONS: u32 = 2;

/// What runs elsewhere, connected.
#[derive(Clone)]
pub(super) struct Shared {
    postgres: Postgres,
    keys: Arc<PostgresKeys>,
    redis: Option<Redis>,
}

impl Shared {
    pub(super) async fn close(&self) {
        self.postgres.close().await;
        self.keys.close().await;
        if let Some(redis) = &self.redis {
            redis.close().await;
        }
    }
}

impl PostgresConfig {
    pub(super) fn data(&self) -> PostgresOptions {
        PostgresOptions { max_connections: self.max_connections, ..PostgresOptions::new(self.url.clone()) }
    }

    pub(super) fn keys(&self) -> PostgresOptions {
        let url: &Secret = self.keys_url.as_ref().unwrap_or(&self.url);
        PostgresOptions { max_connections: KEYS_CONNECTIONS, ..PostgresOptions::new(url.clone()) }
    }
}

/// Brings the schemas to this version's, one caller at a time. Returns how many migrations this one applied.
pub async fn migrate(config: &PostgresConfig) -> anyhow::Result<usize> {
    let data = Postgres::migrate(&config.data()).await.with_context(|| config.place())?;
    let keys = PostgresKeys::migrate(&config.keys()).await.with_context(|| config.keys_place())?;
    Ok(data.applied + keys.applied)
}

/// Connects to what is configured. Postgres has to be migrated.
pub(super) async fn open(
    config: &PostgresConfig,
    redis: Option<&RedisConfig>,
    master: Arc<dyn MasterKeySource>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> anyhow::Result<Store> {
    let keys = Arc::new(PostgresKeys::connect(&config.keys()).await.with_context(|| config.keys_place())?);
    let opened = connect(config, redis, master, &keys, &clock, &entropy).await;
    let (sealer, postgres, redis) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            keys.close().await;
            return Err(error);
        }
    };
    let (repos, bus) = (postgres.repos(), postgres.bus());
    let records = Arc::new(postgres.clone());
    let mut maintenance: Vec<Arc<dyn Maintenance>> = vec![Arc::clone(&records) as _];
    let probe = Probe::Records(Arc::clone(&repos.changes));
    let mut backends = vec![Backend { name: "postgres", place: config.place(), probe }];
    if config.keys_url.is_some() {
        let probe = Probe::Keys(Arc::clone(&keys) as _);
        backends.push(Backend { name: "postgres of the keys", place: config.keys_place(), probe });
    }
    let mut volatile: Arc<dyn KeyValue> = Arc::clone(&records) as _;
    if let Some((redis, place)) = &redis {
        let redis = Arc::new(redis.clone());
        maintenance.push(Arc::clone(&redis) as _);
        volatile = Arc::clone(&redis) as _;
        backends.push(Backend { name: "redis", place: place.clone(), probe: Probe::Values(redis) });
    }
    let redis = redis.map(|(redis, _)| redis);
    let columns: Vec<Arc<dyn SealedColumns>> = vec![Arc::clone(&records) as _];
    let split = Split::new(records, volatile);
    let spool: Arc<dyn UsageSpool> = match &redis {
        Some(redis) => redis.usage_spool(),
        None => Arc::new(Direct::new(Arc::clone(&repos.usage), Arc::clone(&clock))),
    };
    let consumer = ReplicaId::new(&*clock, &*entropy).to_string();
    let queue = redis.as_ref().map(|redis| redis.usage_queue(consumer));
    Ok(Store {
        spool,
        queue,
        repos,
        kv: Arc::new(Sealed::new(split, Arc::clone(&sealer))),
        sealer,
        keys: Arc::clone(&keys) as Arc<dyn WrappedKeys>,
        bus,
        clock,
        entropy,
        maintenance,
        columns,
        backends,
        opened: Opened::Shared(Shared { postgres, keys, redis }),
    })
}

/// What seals, the records, and Redis with its place.
type Connected = (Arc<Sealer>, Postgres, Option<(Redis, String)>);

async fn connect(
    config: &PostgresConfig,
    redis: Option<&RedisConfig>,
    master: Arc<dyn MasterKeySource>,
    keys: &Arc<PostgresKeys>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Connected> {
    let sealer = Sealer::open_ring(master, Arc::clone(keys) as _, Arc::clone(clock), Arc::clone(entropy)).await;
    let sealer = Arc::new(sealer.with_context(|| config.keys_place())?);
    let redis = match redis {
        Some(redis) => {
            let (place, options) = (redis.place(), redis.options());
            let connected = Redis::connect(options, Arc::clone(clock)).await;
            Some((connected.with_context(|| place.clone())?, place))
        }
        None => None,
    };
    let bus = redis.as_ref().map(|(redis, _)| redis.bus());
    match Postgres::connect(&config.data(), Arc::clone(&sealer), Arc::clone(clock), bus).await {
        Ok(postgres) => Ok((sealer, postgres, redis)),
        Err(error) => {
            if let Some((redis, _)) = redis {
                redis.close().await;
            }
            Err::<Connected, StorageError>(error).with_context(|| config.place())
        }
    }
}

impl RedisConfig {
    pub(super) fn options(&self) -> RedisOptions {
        let Self { url, pool, ca, prefix } = self.clone();
        RedisOptions { url, pool, ca, prefix }
    }
}
