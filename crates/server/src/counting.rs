use std::sync::Arc;

use storage::usage::{Flusher, consume};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Store, wiring::Built};

/// Sends what this process counted, and adds up what any process did.
#[derive(Debug)]
pub(crate) struct Counting {
    stop: CancellationToken,
    flusher: JoinHandle<()>,
    consumer: Option<JoinHandle<()>>,
}

impl Counting {
    /// Begins with it.
    pub(crate) fn start(store: &Store, built: &Built) -> Self {
        let stop = CancellationToken::new();
        let (clock, entropy) = (Arc::clone(&store.clock), Arc::clone(&store.entropy));
        let flusher = Flusher::new(Arc::clone(&built.usage), Arc::clone(&store.spool), Arc::clone(&clock), entropy);
        let consumer = store
            .queue
            .clone()
            .map(|queue| tokio::spawn(consume(queue, Arc::clone(&store.repos.usage), clock, stop.clone())));
        Self { flusher: tokio::spawn(flusher.run(stop.clone())), consumer, stop }
    }

    /// Sends what is left. To be called when nothing counts any more.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        for task in [Some(self.flusher), self.consumer].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(%error, "what counts calls has ended early");
            }
        }
    }
}
