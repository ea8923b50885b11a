use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use model::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Result;

/// How long used codes, ended grants and replaced refresh tokens stay after their end: as long as an
/// access token can live (24 hours) and an hour for clocks that differ, so that a replay is still
/// recognised and a revocation is known for as long as it matters.
pub const TOMBSTONE_LIFE: Duration = Duration::from_hours(25);

/// How often [`maintain`] cleans up.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many records of a kind go in one call, so that no clean-up holds a writer for long.
const BATCH: u32 = 500;

/// Clean-up of what has expired. Correctness never depends on it: what has expired is as if it were not
/// there, cleaned up or not.
#[async_trait]
pub trait Maintenance: Send + Sync + fmt::Debug {
    /// Removes what had expired at `now`; at most `limit` records of each kind. Returns how many went.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// Cleans up every minute until `stop`.
pub async fn maintain(parts: Vec<Arc<dyn Maintenance>>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        for part in &parts {
            if let Err(error) = drain(&**part, &*clock, &stop).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "clean-up failed and is tried again in a minute"
                );
            }
        }
    }
}

/// Cleans up until nothing is left.
async fn drain(part: &dyn Maintenance, clock: &dyn Clock, stop: &CancellationToken) -> Result<()> {
    while !stop.is_cancelled() && part.purge(clock.now(), BATCH).await? >= u64::from(BATCH) {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
