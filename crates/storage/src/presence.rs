//! Whoever waits for all replicas.

use std::time::Duration;

use model::Clock;

use crate::{
    Result,
    repo::{Replica, Replicas},
};

/// How long a replica counts as alive after its last sign.
pub const ALIVE: Duration = Duration::from_secs(15);

/// Waits until every replica that is alive has taken in the changes up to `sequence`. Returns those that
/// have not after `patience`; one that died without a word counts as alive for [`ALIVE`].
pub async fn taken_in_everywhere(
    replicas: &dyn Replicas,
    clock: &dyn Clock,
    sequence: u64,
    patience: Duration,
) -> Result<Vec<Replica>> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let mut behind = replicas.live(clock.now() - ALIVE).await?;
        behind.retain(|replica| replica.position < sequence);
        if behind.is_empty() || tokio::time::Instant::now() >= deadline {
            return Ok(behind);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests;
