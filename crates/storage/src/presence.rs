//! Whoever waits for all replicas.

use std::time::Duration;

use model::Clock;

use crate::{
    Result,
    repo::{Replica, Replicas},
};

/// How far the clocks of two replicas may be apart. Each notes its signs of life by its own, and whoever looks at them
/// compares them with theirs.
pub const SKEW: Duration = Duration::from_mins(1);

/// How long a replica counts as alive after its last sign: three signs, and what clocks may be apart.
pub const ALIVE: Duration = Duration::from_secs(15).saturating_add(SKEW);

/// How long a replica that says nothing may still be working from what it has in memory: as long as a
/// snapshot may be stale, and what clocks may be apart.
pub const SILENT: Duration = Duration::from_mins(10).saturating_add(SKEW);

/// Waits until every replica has taken in the changes up to `sequence`. Returns those that have not after
/// `patience`. One that says nothing any more is among them for [`SILENT`], because it may be cut off from the
/// store and not dead.
pub async fn taken_in_everywhere(
    replicas: &dyn Replicas,
    clock: &dyn Clock,
    sequence: u64,
    patience: Duration,
) -> Result<Vec<Replica>> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let mut behind = replicas.live(clock.now() - SILENT).await?;
        behind.retain(|replica| replica.position < sequence);
        if behind.is_empty() || tokio::time::Instant::now() >= deadline {
            return Ok(behind);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests;
