use async_trait::async_trait;
use model::Timestamp;
use storage::{Maintenance, Result};

use crate::Redis;

#[async_trait]
impl Maintenance for Redis {
    /// Nothing is left to do: Redis removes what has expired, some minutes later.
    async fn purge(&self, _now: Timestamp, _limit: u32) -> Result<u64> {
        Ok(0)
    }
}
