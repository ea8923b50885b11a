use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use model::{BatchId, Clock, Entropy, ServerId, TenantId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Counters, UsageSpool};
use crate::{
    Result, StorageError,
    repo::{UsageBatch, UsageCount, hour_of},
};

/// How often counts are sent.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many counts go in one batch.
const BATCH: usize = 250;
/// How many counts are kept while none can be sent: of so many servers and hours.
const KEPT: usize = 100_000;

/// Sends what was counted to a spool.
pub struct Flusher {
    counters: Arc<Counters>,
    spool: Arc<dyn UsageSpool>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Counted and not sent.
    gathered: BTreeMap<(Timestamp, ServerId), (TenantId, u64, u64)>,
    /// Sent, and it is not known whether it arrived.
    under_way: Option<UsageBatch>,
    failing: bool,
}

impl Flusher {
    /// Sends what `counters` have to `spool`.
    pub fn new(
        counters: Arc<Counters>,
        spool: Arc<dyn UsageSpool>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { counters, spool, clock, entropy, gathered: BTreeMap::new(), under_way: None, failing: false }
    }

    /// Sends every few seconds until `stop`, and then once more.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            self.flush().await;
        }
        self.flush().await;
    }

    /// Sends what was counted; what cannot be sent is kept for the next time.
    pub async fn flush(&mut self) {
        self.gather();
        let result = self.send().await;
        match &result {
            Err(error) if !self.failing => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "usage counts cannot be sent and are kept for now"
                );
            }
            Ok(()) if self.failing => tracing::info!("usage counts are sent again"),
            _ => {}
        }
        self.failing = result.is_err();
    }

    fn gather(&mut self) {
        let (hour, mut lost) = (hour_of(self.clock.now()), 0);
        for (server, tally) in self.counters.take() {
            let room = self.gathered.len() < KEPT;
            match self.gathered.entry((hour, server)) {
                std::collections::btree_map::Entry::Vacant(_) if !room => lost += tally.calls,
                entry => {
                    let (_, calls, errors) = entry.or_insert((tally.tenant, 0, 0));
                    *calls += tally.calls;
                    *errors += tally.errors;
                }
            }
        }
        if lost > 0 {
            tracing::warn!(calls = lost, "too many usage counts wait to be sent; these were dropped");
        }
    }

    async fn send(&mut self) -> Result<()> {
        loop {
            let batch = match self.under_way.take() {
                Some(batch) => batch,
                None if self.gathered.is_empty() => return Ok(()),
                None => self.batch(),
            };
            match self.spool.append(&batch).await {
                Err(error @ (StorageError::Unavailable(_) | StorageError::Missing(_))) => {
                    self.under_way = Some(batch);
                    return Err(error);
                }
                // It would never be taken.
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "usage counts were dropped");
                }
                Ok(()) => {}
            }
        }
    }

    /// The oldest counts, with an id.
    fn batch(&mut self) -> UsageBatch {
        let id = BatchId::new(&*self.clock, &*self.entropy);
        let mut counts = Vec::with_capacity(self.gathered.len().min(BATCH));
        while counts.len() < BATCH
            && let Some(((hour, server), (tenant, calls, errors))) = self.gathered.pop_first()
        {
            counts.push(UsageCount { tenant, server, hour, calls, errors });
        }
        UsageBatch { id, counts }
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flusher").field("gathered", &self.gathered.len()).finish_non_exhaustive()
    }
}
