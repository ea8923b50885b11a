//! Values, hints and the usage stream over Redis or Valkey.
//!
//! Invariants:
//! - Every call ends within a second, with an answer or with
//!   [`Unavailable`](storage::StorageError::Unavailable). What was sent and not answered may have been done;
//!   it is never reported as done.
//! - Nothing is repeated by itself: of a verb that one caller may win, nobody wins twice.
//! - Every command touches one key, so a cluster serves all of it.
//! - Nothing outside of the prefix is touched.

mod address;
mod bus;
mod entry;
mod failure;
mod key_value;
mod keys;
mod maintenance;
mod pool;
mod script;
mod tls;
mod usage;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use fred::interfaces::KeysInterface as _;
use model::Clock;
use storage::{Bus, Result, StorageError};

pub use crate::address::{InvalidOptions, RedisOptions};
use crate::{bus::RedisBus, keys::Keys, pool::Pool};

/// The store over Redis, for what may be lost with it. Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    bus: Arc<RedisBus>,
    keys: Keys,
    options: RedisOptions,
    clock: Arc<dyn Clock>,
    count: AtomicU8,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}

impl Redis {
    /// Connects. Connections that end later open again by themselves; until then every call fails at once.
    pub async fn connect(options: RedisOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        options.check().map_err(StorageError::refused)?;
        let keys = Keys::new(&options.prefix).expect("it was checked");
        let config = options.config().map_err(StorageError::refused)?;
        let pool = Arc::new(Pool::connect(config.clone(), options.pool).await?);
        // Whether we may: it is better said now than to the first who signs in.
        pool.run(async |line| line.get::<(), _>(keys.probe()).await).await?;
        let bus = Arc::new(RedisBus::connect(config, Arc::clone(&pool), keys.hints()).await?);
        Ok(Self(Arc::new(Inner { pool, bus, keys, options, clock, count: AtomicU8::new(0) })))
    }

    /// Hints between all processes with the same prefix.
    pub fn bus(&self) -> Arc<dyn Bus> {
        self.0.bus.clone()
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.0.bus.close().await;
        self.0.pool.close().await;
    }
}

impl Inner {
    /// Tells apart what several nodes of a cluster write in one microsecond.
    fn count(&self) -> u8 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}
