use std::sync::Arc;

use model::{ManualClock, ReplicaId, SeededEntropy, Timestamp};

use super::*;
use crate::trial::Known;

#[tokio::test(start_paused = true)]
async fn whoever_waits_hears_when_the_last_replica_is_there() {
    let (known, clock) = (Arc::new(Known::default()), ManualClock::at(Timestamp::from_seconds(1_000)));
    let [one, two] = [1, 2].map(|seed| {
        let id = ReplicaId::new(&clock, &SeededEntropy::new(seed));
        Replica { id, seen_at: clock.now(), position: 3 }
    });
    known.beat(&Replica { position: 4, ..one }).await.unwrap();
    known.beat(&two).await.unwrap();
    let wait = |patience| taken_in_everywhere(&*known, &clock, 4, patience);
    assert_eq!(wait(Duration::from_secs(2)).await.unwrap(), [two]);
    tokio::spawn({
        let known = known.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            known.beat(&Replica { position: 9, ..two }).await.unwrap();
        }
    });
    let started = tokio::time::Instant::now();
    assert!(wait(Duration::from_mins(1)).await.unwrap().is_empty());
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_that_has_long_been_silent_is_not_waited_for() {
    let (known, clock) = (Known::default(), ManualClock::at(Timestamp::from_seconds(1_000)));
    let dead = Replica { id: ReplicaId::new(&clock, &SeededEntropy::new(1)), seen_at: clock.now(), position: 3 };
    known.beat(&dead).await.unwrap();
    assert!(taken_in_everywhere(&known, &clock, 3, Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(taken_in_everywhere(&known, &clock, 4, Duration::ZERO).await.unwrap(), [dead]);
    clock.advance(ALIVE + Duration::from_millis(1));
    assert_eq!(taken_in_everywhere(&known, &clock, 4, Duration::ZERO).await.unwrap(), [dead], "it may be cut off");
    clock.advance(SILENT);
    assert!(taken_in_everywhere(&known, &clock, 4, Duration::ZERO).await.unwrap().is_empty());
}
