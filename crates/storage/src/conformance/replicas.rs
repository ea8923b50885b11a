//! The processes that serve.

use std::time::Duration;

use super::world::World;
use crate::repo::{Replica, Repos};

pub(super) async fn are_seen_while_they_live(world: &World, repos: Repos) {
    let replicas = &*repos.replicas;
    assert!(replicas.live(world.now()).await.unwrap().is_empty());
    let one = Replica { id: world.id(), seen_at: world.now(), position: 0 };
    let two = Replica { id: world.id(), seen_at: world.now() + Duration::from_secs(2), position: u64::MAX >> 1 };
    for replica in [two, one, one] {
        replicas.beat(&replica).await.unwrap();
    }
    assert_eq!(replicas.live(one.seen_at).await.unwrap(), [one, two]);
    assert_eq!(replicas.live(one.seen_at + Duration::from_millis(1)).await.unwrap(), [two]);
    let again = Replica { seen_at: two.seen_at, position: 7, ..one };
    replicas.beat(&again).await.unwrap();
    assert_eq!(replicas.live(two.seen_at).await.unwrap(), [again, two]);
    replicas.leave(two.id).await.unwrap();
    replicas.leave(two.id).await.unwrap();
    assert_eq!(replicas.live(one.seen_at).await.unwrap(), [again]);
}
