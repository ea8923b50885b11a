//! How often servers are called: counted in memory, sent in batches to a spool, added up in the database.
//!
//! Invariants:
//! - Counting does no I/O and waits for nobody: each thread counts by itself.
//! - A batch keeps its id until it is known that it arrived, and is added once however often it does.
//! - While nothing can be sent, counts are kept; how many is bounded.

mod counters;
mod flush;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use model::Clock;
use tokio_util::sync::CancellationToken;

pub use self::{
    counters::{Counters, Tally},
    flush::Flusher,
};
use crate::{
    Result, StorageError,
    repo::{Usage, UsageBatch},
};

/// Where batches go from a gateway.
#[async_trait]
pub trait UsageSpool: Send + Sync + fmt::Debug {
    /// Appends a batch. After a failure it may be there all the same; appending it again does no harm.
    async fn append(&self, batch: &UsageBatch) -> Result<()>;
}

/// What batches come out of. Several consumers, of several processes, share them; each batch is given to one,
/// and to another if that one is gone.
#[async_trait]
pub trait UsageQueue: Send + Sync + fmt::Debug {
    /// The next batches, when there are some; waits a few seconds at most.
    async fn next(&self) -> Result<Vec<Delivery>>;

    /// A delivery was dealt with, and is not given to anybody again.
    async fn done(&self, delivery: &Delivery) -> Result<()>;
}

/// A batch on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What the queue calls it.
    pub ticket: String,
    /// The batch.
    pub batch: UsageBatch,
}

/// A spool that is none: batches are added at once. For a gateway beside its database.
#[derive(Debug)]
pub struct Direct {
    usage: Arc<dyn Usage>,
    clock: Arc<dyn Clock>,
}

impl Direct {
    /// Adds to `usage`.
    pub fn new(usage: Arc<dyn Usage>, clock: Arc<dyn Clock>) -> Self {
        Self { usage, clock }
    }
}

#[async_trait]
impl UsageSpool for Direct {
    async fn append(&self, batch: &UsageBatch) -> Result<()> {
        self.usage.add(batch, self.clock.now()).await.map(drop)
    }
}

/// How long a consumer waits after a failure.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Adds up what comes out of a queue until `stop`.
pub async fn consume(
    queue: Arc<dyn UsageQueue>,
    usage: Arc<dyn Usage>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let work = async {
        let mut failing = false;
        loop {
            let result = drain(&*queue, &*usage, &*clock).await;
            // Said when it begins and when it is over.
            match &result {
                Err(error) if !failing => {
                    tracing::warn!(error = error as &dyn std::error::Error, "usage counts cannot be added up");
                }
                Ok(()) if failing => tracing::info!("usage counts are added up again"),
                _ => {}
            }
            failing = result.is_err();
            if failing {
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    // A delivery that was added and not marked is given to somebody else, and not added twice.
    stop.run_until_cancelled(work).await;
}

/// Takes what is there.
async fn drain(queue: &dyn UsageQueue, usage: &dyn Usage, clock: &dyn Clock) -> Result<()> {
    for delivery in queue.next().await? {
        while let Err(error) = usage.add(&delivery.batch, clock.now()).await {
            if !matches!(error, StorageError::Unavailable(_) | StorageError::Missing(_)) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    batch.id = %delivery.batch.id,
                    "usage counts that cannot be added were dropped"
                );
                break;
            }
            tracing::debug!(error = &error as &dyn std::error::Error, "usage counts wait");
            tokio::time::sleep(PAUSE).await;
        }
        queue.done(&delivery).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
