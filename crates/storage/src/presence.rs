//! A replica's signs of life, and whoever waits for all replicas.

use std::{sync::Arc, time::Duration};

use model::{Clock, ReplicaId};
use tokio_util::sync::CancellationToken;

use crate::{
    Follower, Result,
    repo::{Replica, Replicas},
};

/// How long a replica without news waits between two signs of life.
const BEAT: Duration = Duration::from_secs(5);
/// How long it waits at least, so that a burst of changes is not a burst of writes.
const REST: Duration = Duration::from_millis(200);
/// How long a replica counts as alive after its last sign.
pub const ALIVE: Duration = Duration::from_secs(15);

/// Says that this process serves and how far its snapshots are, whenever they got further and every few
/// seconds, until `stop`; then says that it is gone.
pub async fn attend(
    id: ReplicaId,
    replicas: Arc<dyn Replicas>,
    follower: Arc<Follower>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut moved = follower.moved();
    while !stop.is_cancelled() {
        let position = *moved.borrow_and_update();
        if let Err(error) = replicas.beat(&Replica { id, seen_at: clock.now(), position }).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store cannot be told that this replica serves"
            );
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(BEAT) => {}
            (_, ()) = async { tokio::join!(moved.changed(), tokio::time::sleep(REST)) } => {}
        }
    }
    if let Err(error) = replicas.leave(id).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the store cannot be told that this replica stopped");
    }
}

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
