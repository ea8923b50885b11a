use std::{fmt, time::Duration};

use async_trait::async_trait;
use model::{BatchId, ServerId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;

/// For how long the id of a batch is known: longer than any spool delivers it again.
pub const BATCH_MEMORY: Duration = Duration::from_hours(24 * 7);
/// For how long counts are kept.
pub const USAGE_LIFE: Duration = Duration::from_hours(24 * 400);

const HOUR: i64 = 3_600_000;

/// What happened on one server in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageCount {
    /// Whose server it is.
    pub tenant: TenantId,
    /// The server.
    pub server: ServerId,
    /// When the hour begins.
    pub hour: Timestamp,
    /// How many requests were sent to it.
    pub calls: u64,
    /// How many of them were not answered, or with an error.
    pub errors: u64,
}

/// Counts that are added together, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageBatch {
    /// Under which it is known that it was added.
    pub id: BatchId,
    /// In any order; several of one server and hour add up.
    pub counts: Vec<UsageCount>,
}

/// The beginning of the hour that a moment is in.
pub fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis() - at.millis().rem_euclid(HOUR))
}

/// How much servers are used.
#[async_trait]
pub trait Usage: Send + Sync + fmt::Debug {
    /// Adds a batch, at the moment `at`. Of several calls with one id exactly one adds it and gets `true`.
    /// Counts of a server that is not there, or not that tenant's, are left out.
    async fn add(&self, batch: &UsageBatch, at: Timestamp) -> Result<bool>;

    /// The counts of a server in the hours from `since` on, in order; hours without any are left out.
    async fn since(&self, tenant: TenantId, server: ServerId, since: Timestamp) -> Result<Vec<UsageCount>>;

    /// Forgets ids of batches and counts that are, at `now`, older than [`BATCH_MEMORY`] and [`USAGE_LIFE`]; at
    /// most `limit` of each. Returns how many went.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;
}
