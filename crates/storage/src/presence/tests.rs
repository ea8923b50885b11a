use std::sync::Mutex;

use async_trait::async_trait;
use model::{ManualClock, SeededEntropy, Timestamp};

use super::*;
use crate::{
    Owner,
    repo::Changes as _,
    trial::{KeyFile, World},
};

#[derive(Debug, Default)]
struct Known(Mutex<Vec<Replica>>);

#[async_trait]
impl Replicas for Known {
    async fn beat(&self, replica: &Replica) -> Result<()> {
        let mut known = self.0.lock().unwrap();
        known.retain(|other| other.id != replica.id);
        known.push(*replica);
        Ok(())
    }

    async fn live(&self, since: Timestamp) -> Result<Vec<Replica>> {
        Ok(self.0.lock().unwrap().iter().filter(|replica| replica.seen_at >= since).copied().collect())
    }

    async fn leave(&self, id: ReplicaId) -> Result<()> {
        self.0.lock().unwrap().retain(|replica| replica.id != id);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_hears_when_the_last_replica_is_there() {
    let (world, known) = (World::new(), Arc::new(Known::default()));
    let replica = world.replica(&KeyFile::of(&[1]), 1).await;
    let (id, stop) = (ReplicaId::new(&*world.clock, &SeededEntropy::new(1)), CancellationToken::new());
    let (replicas, clock): (Arc<dyn Replicas>, Arc<dyn Clock>) = (known.clone(), world.clock.clone());
    let running =
        tokio::spawn(attend(id, Arc::clone(&replicas), replica.follower.clone(), Arc::clone(&clock), stop.clone()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(known.0.lock().unwrap().len(), 1);

    let sequence = world.feed.data_keys_changed(&[Owner::Platform]).await.unwrap();
    let wait = |patience| taken_in_everywhere(&*replicas, &*clock, sequence, patience);
    let behind = wait(Duration::from_secs(2)).await.unwrap();
    assert_eq!(behind.iter().map(|replica| replica.id).collect::<Vec<_>>(), [id]);
    let follower = replica.follower.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        follower.sync().await.unwrap();
    });
    assert!(wait(Duration::from_secs(2)).await.unwrap().is_empty(), "it says so soon after it took the change in");

    stop.cancel();
    running.await.unwrap();
    assert!(known.0.lock().unwrap().is_empty(), "it said that it is gone");
}

#[tokio::test(start_paused = true)]
async fn one_that_died_is_not_waited_for() {
    let (known, clock) = (Known::default(), ManualClock::at(Timestamp::from_seconds(1_000)));
    let dead = Replica { id: ReplicaId::new(&clock, &SeededEntropy::new(1)), seen_at: clock.now(), position: 3 };
    known.beat(&dead).await.unwrap();
    assert!(taken_in_everywhere(&known, &clock, 3, Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(taken_in_everywhere(&known, &clock, 4, Duration::ZERO).await.unwrap(), [dead]);
    clock.advance(ALIVE + Duration::from_millis(1));
    assert!(taken_in_everywhere(&known, &clock, 4, Duration::ZERO).await.unwrap().is_empty());
}
