//! The servers that the tests run against, and a prefix for each test.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use model::{Clock, Entropy as _, OsEntropy, Secret};
use storage_redis::{Redis, RedisOptions};

/// A server that is there before the tests start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server(&'static str);

pub(crate) const REDIS: Server = Server("TEST_REDIS");
pub(crate) const VALKEY: Server = Server("TEST_VALKEY");

impl Server {
    pub(crate) fn url(self) -> String {
        #[expect(clippy::disallowed_methods, reason = "tests are told of servers by the environment")]
        let url = std::env::var(self.0);
        let run = "run `cargo xtask test`, or `cargo xtask services -- cargo nextest run -p storage-redis`";
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
    Redis::connect(options(url, prefix), clock).await.expect("the server answers")
}
