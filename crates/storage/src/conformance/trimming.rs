//! Old changes leave the feed.

use std::time::Duration;

use model::Role;

use super::world::{HOUR, World};
use crate::{
    Maintenance,
    repo::{Member, Replica, Repos},
};

const MINUTE: Duration = Duration::from_mins(1);

pub(super) async fn old_changes_go_once_all_have_them(world: &World, repos: Repos, store: &impl Maintenance) {
    let purge = async || store.purge(world.now(), 100).await.unwrap();
    assert_eq!(repos.changes.oldest().await.unwrap(), 0);
    purge().await;
    let (alice, server) = world.acme(&repos).await;
    let change = async || {
        let member = Member { tenant: server.tenant, user: alice.id, role: Role::Owner };
        repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
        repos.changes.head().await.unwrap()
    };
    let oldest = async || repos.changes.oldest().await.unwrap();
    let first = oldest().await;
    let old = change().await;
    purge().await;
    assert_eq!(oldest().await, first, "nothing is old yet");

    // Younger ones, of which the clean-up knows nothing.
    world.clock.advance(2 * MINUTE);
    let young = change().await;
    world.clock.advance(59 * MINUTE);
    // Alive, by a clock that is as late as one may be.
    let slow = Replica { id: world.id(), seen_at: world.now() - MINUTE, position: first };
    let quick = Replica { id: world.id(), seen_at: world.now(), position: young };
    for replica in [&slow, &quick] {
        repos.replicas.beat(replica).await.unwrap();
    }
    purge().await;
    assert_eq!(oldest().await, repos.changes.since(first, 1).await.unwrap()[0].sequence, "one has not taken in more");
    repos.replicas.beat(&Replica { position: old - 1, ..slow }).await.unwrap();
    assert!(store.purge(world.now(), 1).await.unwrap() <= 1);
    while purge().await > 0 {}
    assert_eq!(oldest().await, old);
    // It died without a word.
    world.clock.advance(2 * MINUTE);
    repos.replicas.beat(&Replica { seen_at: world.now(), ..quick }).await.unwrap();
    while purge().await > 0 {}
    assert_eq!(oldest().await, old, "the head of an hour ago stays");
    assert_eq!(repos.changes.since(0, 100).await.unwrap().first().map(|change| change.sequence), Some(old));

    world.clock.advance(3 * HOUR);
    purge().await;
    world.clock.advance(3 * HOUR);
    while purge().await > 0 {}
    assert_eq!((oldest().await, repos.changes.head().await.unwrap()), (young, young), "the newest stays");
    assert!(change().await > young);
}
