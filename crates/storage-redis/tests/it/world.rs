//! The servers that the tests run against, a prefix for each test, and some values.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use model::{Clock, Entropy as _, ManualClock, OsEntropy, Secret, Timestamp};
use storage::{Collection, Durability, Owner, Place};
use storage_redis::{Redis, RedisOptions};
use tokio::time::{Instant, sleep};

/// A server that is there before the tests start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server(&'static str);

pub(crate) const REDIS: Server = Server("TEST_REDIS");
pub(crate) const VALKEY: Server = Server("TEST_VALKEY");

impl Server {
    pub(crate) fn url(self) -> String {
        #[expect(clippy::disallowed_methods, reason = "tests are told of servers by the environment")]
        let url = std::env::var(self.0);
        let run =
            "run `cargo xtask test`, or `cargo xtask services -- cargo nextest run --profile ci -p storage-redis`";
        url.unwrap_or_else(|_| panic!("{} is not set: {run}", self.0))
    }
}

/// A prefix that nobody else has.
pub(crate) fn prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut random = [0; 8];
    OsEntropy.fill(&mut random);
    format!("t-{:016x}-{}", u64::from_be_bytes(random), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn options(url: &str, prefix: &str) -> RedisOptions {
    RedisOptions { url: Secret::new(url.to_owned()), pool: 2, ca: None, prefix: prefix.to_owned() }
}

pub(crate) async fn connect(url: &str, prefix: &str, clock: Arc<dyn Clock>) -> Redis {
    Redis::connect(options(url, prefix), clock).await.unwrap_or_else(|error| {
        let why = std::error::Error::source(&error).map(ToString::to_string);
        panic!("{error}: {why:?}")
    })
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)))
}

pub(crate) const THINGS: Collection =
    Collection { name: "things", durability: Durability::Volatile, format: 3, reads: &[] };

pub(crate) fn at(key: &str) -> Place<'_> {
    Place { owner: Owner::Platform, collection: THINGS, key }
}

/// Waits until something holds; fails after ten seconds.
#[track_caller]
pub(crate) fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let began = Instant::now();
    async move {
        while !holds().await {
            assert!(began.elapsed() < Duration::from_secs(10), "{what}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
