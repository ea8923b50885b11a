use std::sync::{
    Mutex as StdMutex,
    atomic::{AtomicBool, AtomicUsize},
};

use model::ManualClock;

use super::*;
use crate::{LocalBus, StorageError};

/// A feed of which tests say how long it is, and whether it can be read.
#[derive(Debug, Default)]
struct Feed {
    length: AtomicUsize,
    /// How many are gone from its beginning.
    trimmed: AtomicUsize,
    /// Numbers that were given and not used.
    unused: StdMutex<Vec<u64>>,
    away: AtomicBool,
}

fn away() -> StorageError {
    StorageError::unavailable("away")
}

#[async_trait]
impl Changes for Feed {
    async fn head(&self) -> Result<u64> {
        Ok(self.length.load(Ordering::SeqCst) as u64)
    }

    async fn oldest(&self) -> Result<u64> {
        Ok(self.since(0, 1).await?.first().map_or(0, |first| first.sequence))
    }

    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<Change>> {
        if self.away.load(Ordering::SeqCst) {
            return Err(away());
        }
        let change = |sequence| Change { sequence, kind: ChangeKind::User, tenant: None, subject: [0; 16] };
        let trimmed = self.trimmed.load(Ordering::SeqCst) as u64;
        let unused = self.unused.lock().unwrap().clone();
        let all = (sequence.max(trimmed) + 1..=self.length.load(Ordering::SeqCst) as u64)
            .filter(|number| !unused.contains(number));
        Ok(all.take(limit as usize).map(change).collect())
    }

    async fn data_keys_changed(&self, owners: &[Owner]) -> Result<u64> {
        self.length.fetch_add(owners.len(), Ordering::SeqCst);
        self.head().await
    }
}

/// Remembers what it was told, and fails when told to.
#[derive(Debug, Default)]
struct Snapshot {
    seen: StdMutex<Vec<u64>>,
    reloads: AtomicUsize,
    fails: AtomicBool,
}

impl Snapshot {
    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Follow for Snapshot {
    async fn reload(&self) -> Result<()> {
        self.reloads.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn apply(&self, changes: &[Change]) -> Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(away());
        }
        self.seen.lock().unwrap().extend(changes.iter().map(|change| change.sequence));
        Ok(())
    }
}

struct Parts {
    feed: Arc<Feed>,
    bus: Arc<LocalBus>,
    clock: Arc<ManualClock>,
    snapshots: [Arc<Snapshot>; 2],
    follower: Arc<Follower>,
}

async fn parts(length: usize) -> Parts {
    let feed = Arc::new(Feed { length: length.into(), ..Feed::default() });
    let (bus, clock) = (Arc::new(LocalBus::default()), Arc::new(ManualClock::at(Timestamp::from_seconds(10))));
    let snapshots = [(); 2].map(|()| Arc::new(Snapshot::default()));
    let followers = snapshots.iter().map(|one| one.clone() as Arc<dyn Follow>).collect();
    let follower = Follower::start(feed.clone(), bus.clone(), clock.clone(), followers).await.unwrap();
    Parts { feed, bus, clock, snapshots, follower }
}

#[tokio::test]
async fn starts_at_the_head_with_everything_loaded() {
    let parts = parts(5).await;
    parts.follower.sync().await.unwrap();
    for snapshot in &parts.snapshots {
        assert_eq!((snapshot.reloads.load(Ordering::SeqCst), snapshot.seen()), (1, vec![]));
    }
    parts.feed.length.store(7, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!(parts.snapshots[1].seen(), [6, 7]);
}

#[tokio::test]
async fn takes_in_more_than_one_batch() {
    let parts = parts(0).await;
    parts.feed.length.store(2 * BATCH as usize + 1, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!(parts.snapshots[0].seen(), (1..=2 * u64::from(BATCH) + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_cannot_holds_nobody_up() {
    let parts = parts(0).await;
    parts.snapshots[0].fails.store(true, Ordering::SeqCst);
    parts.feed.length.store(BATCH as usize + 1, Ordering::SeqCst);
    assert_eq!(parts.follower.stuck(), None);
    assert!(parts.follower.sync().await.is_err());
    assert_eq!(parts.snapshots[1].seen().last(), Some(&(u64::from(BATCH) + 1)), "also what comes a batch later");
    assert_eq!(parts.follower.position(), 0, "it is tried again");
    parts.snapshots[0].fails.store(false, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!(parts.snapshots[0].seen().len(), BATCH as usize + 1);
    assert_eq!(parts.follower.position(), u64::from(BATCH) + 1);
}

#[tokio::test]
async fn whoever_fell_behind_reads_everything_anew() {
    let parts = parts(5).await;
    let reloads = || parts.snapshots[0].reloads.load(Ordering::SeqCst);
    // A gap that a rollback left, in a feed that goes back far enough.
    parts.feed.unused.lock().unwrap().push(6);
    parts.feed.length.store(7, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!((reloads(), parts.snapshots[0].seen()), (1, vec![7]));
    // What it has taken in may go, up to the very last.
    parts.feed.trimmed.store(7, Ordering::SeqCst);
    parts.feed.length.store(8, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!((reloads(), parts.snapshots[0].seen()), (1, vec![7, 8]));

    parts.feed.length.store(20, Ordering::SeqCst);
    parts.feed.trimmed.store(9, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    for snapshot in &parts.snapshots {
        assert_eq!((snapshot.reloads.load(Ordering::SeqCst), snapshot.seen()), (2, vec![7, 8]), "9 is gone");
    }
    assert_eq!(parts.follower.position(), 20);
    parts.feed.length.store(21, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!((reloads(), parts.snapshots[1].seen()), (2, vec![7, 8, 21]));
}

#[tokio::test]
async fn what_failed_is_tried_again_and_nothing_is_skipped() {
    let parts = parts(0).await;
    parts.feed.length.store(2, Ordering::SeqCst);
    parts.snapshots[1].fails.store(true, Ordering::SeqCst);
    parts.clock.advance(Duration::from_mins(1));
    assert!(parts.follower.sync().await.is_err());
    assert_eq!(parts.follower.fresh_at(), Timestamp::from_seconds(10), "what failed is not fresh");
    parts.feed.length.store(3, Ordering::SeqCst);
    parts.snapshots[1].fails.store(false, Ordering::SeqCst);
    parts.follower.sync().await.unwrap();
    assert_eq!(parts.snapshots[1].seen(), [1, 2, 3]);
    assert_eq!(parts.snapshots[0].seen(), [1, 2, 1, 2, 3], "repeating a change does no harm");
    assert_eq!(parts.follower.fresh_at(), Timestamp::from_seconds(70));
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_costs_half_a_second_and_a_hint_nothing() {
    let parts = parts(0).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (follower, stop) = (parts.follower.clone(), stop.clone());
        async move { follower.run(stop).await }
    });
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();
    let until = async |count: usize| {
        while parts.snapshots[0].seen().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        start.elapsed()
    };
    parts.feed.length.store(1, Ordering::SeqCst);
    parts.bus.hint();
    assert!(until(1).await <= Duration::from_millis(2), "hinted");
    parts.feed.length.store(2, Ordering::SeqCst);
    let polled = until(2).await;
    assert!(polled > Duration::from_millis(400) && polled <= Duration::from_millis(510), "{polled:?}");

    // While the store is away nothing is fresh; when it is back, the next look finds all.
    parts.feed.away.store(true, Ordering::SeqCst);
    parts.feed.length.store(3, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(parts.snapshots[0].seen(), [1, 2]);
    parts.feed.away.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(510)).await;
    assert_eq!(parts.snapshots[0].seen(), [1, 2, 3]);
    stop.cancel();
    running.await.unwrap();
}
