use std::{sync::Arc, time::Duration};

use model::{Clock, Id, ReplicaId};
use storage::{
    Follower,
    repo::{Replica, Replicas},
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Store;

/// How often a replica says that it is there.
const BEAT: Duration = Duration::from_secs(5);
/// How soon it says that it took changes in, which somebody may be waiting for.
const TICK: Duration = Duration::from_millis(100);
/// For how long leaving is tried: connections that were opened by the threads that answered have ended with
/// them, and each is found out by one try.
const FAREWELL: Duration = Duration::from_secs(3);

/// Says that this process serves, and how far it has followed the feed.
#[derive(Debug)]
pub(crate) struct Presence {
    id: ReplicaId,
    replicas: Arc<dyn Replicas>,
    follower: Arc<Follower>,
    clock: Arc<dyn Clock>,
}

impl Presence {
    /// Of a process that begins to serve.
    pub(crate) fn new(store: &Store, follower: &Arc<Follower>) -> Self {
        let (replicas, clock) = (Arc::clone(&store.repos.replicas), Arc::clone(&store.clock));
        let id = Id::new(&*clock, &*store.entropy);
        Self { id, replicas, follower: Arc::clone(follower), clock }
    }

    /// What others call it: in the log, and where replicas are waited for.
    pub(crate) fn id(&self) -> ReplicaId {
        self.id
    }

    /// Says so every five seconds, and when the position has moved, until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut said: Option<(Instant, u64)> = None;
        while !stop.is_cancelled() {
            let position = self.follower.position();
            if said.is_none_or(|(at, before)| at.elapsed() >= BEAT || before != position) {
                self.beat(position).await;
                said = Some((Instant::now(), position));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(TICK) => {}
            }
        }
    }

    async fn beat(&self, position: u64) {
        let replica = Replica { id: self.id, seen_at: self.clock.now(), position };
        if let Err(error) = self.replicas.beat(&replica).await {
            // That the store is away is said elsewhere, once.
            tracing::debug!(error = &error as &dyn std::error::Error, "the replica cannot say that it is there");
        }
    }

    /// Says that this process serves no more. Nobody waits for one that did not come to say so for longer
    /// than some seconds.
    pub(crate) async fn leave(&self) {
        let begun = Instant::now();
        while let Err(error) = self.replicas.leave(self.id).await {
            if begun.elapsed() >= FAREWELL {
                tracing::warn!(error = &error as &dyn std::error::Error, "the replica cannot say that it leaves");
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::{ManualClock, SeededEntropy, Timestamp};

    use super::*;
    use crate::{
        config::{Config, Overrides},
        lifecycle,
    };

    #[tokio::test]
    async fn a_replica_is_known_while_it_serves() {
        let home = tempfile::tempdir().unwrap();
        let overrides = Overrides { data: Some(home.path().join("data")), ..Overrides::default() };
        let config = Config::parse("", Path::new(""), std::iter::empty(), &overrides).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1000)));
        let store = Store::open_with(&config, clock, Arc::new(SeededEntropy::new(1))).await.unwrap();
        let built = lifecycle::build(&config, &store, false).await.unwrap();
        let presence = Arc::new(Presence::new(&store, &built.follower));
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (presence, stop) = (Arc::clone(&presence), stop.clone());
            async move { presence.run(stop).await }
        });
        let live = async || store.repos.replicas.live(Timestamp::from_seconds(0)).await.unwrap();
        while live().await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        // Taken in, and said so much sooner than with the next beat.
        let position = store.repos.changes.data_keys_changed(&[storage::Owner::Platform]).await.unwrap();
        built.follower.sync().await.unwrap();
        let moved = Instant::now();
        while live().await[0].position < position {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(moved.elapsed() < BEAT, "{:?}", moved.elapsed());
        stop.cancel();
        running.await.unwrap();
        presence.leave().await;
        assert_eq!(live().await, []);
    }
}
