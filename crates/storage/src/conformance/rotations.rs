//! Refresh tokens: each use replaces the token.

use std::time::Duration;

use super::{
    CALLERS,
    world::{World, race},
};
use crate::repo::{Refresh, Repos, Rotated};

const SIBLINGS: u32 = 3;

pub(super) async fn one_is_first(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, token) = world.active(&repos, &alice, &server).await;
    world.clock.advance(Duration::from_secs(7));
    let children: Vec<_> = (0..CALLERS).map(|_| world.refresh(&grant, Some(token.hash))).collect();
    let rotated =
        race(CALLERS, |at| {
            let (grants, child) = (repos.grants.clone(), children[at].clone());
            let (now, audit) = (world.now(), world.audit("grant.used"));
            async move {
                (grants.rotate(&child, now, now - Duration::from_secs(10), SIBLINGS, &audit).await.unwrap(), child)
            }
        })
        .await;
    let count = |wanted| rotated.iter().filter(|(got, _)| *got == wanted).count();
    assert_eq!((count(Rotated::First), count(Rotated::Sibling)), (1, SIBLINGS as usize - 1));
    for (got, child) in &rotated {
        let stored = repos.grants.refresh(&child.hash).await.unwrap();
        assert_eq!(stored.is_some(), *got != Rotated::No, "for the others nothing is written");
    }
    let family = repos.grants.refresh(&token.hash).await.unwrap().unwrap();
    assert_eq!((family.token.rotated_at, family.children), (Some(world.now()), SIBLINGS));
    assert_eq!(family.grant.last_used_at, Some(world.now()));
}

async fn rotate(world: &World, repos: &Repos, child: &Refresh, grace: Duration) -> Rotated {
    let now = world.now();
    repos.grants.rotate(child, now, now - grace, SIBLINGS, &world.audit("a")).await.unwrap()
}

pub(super) async fn siblings_are_few_and_soon(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, token) = world.active(&repos, &alice, &server).await;
    let grace = Duration::from_secs(10);
    let child = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &child, grace).await, Rotated::First);
    assert_eq!(repos.grants.refresh(&child.hash).await.unwrap().unwrap().token, child);
    world.clock.advance(grace);
    let sibling = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &sibling, grace).await, Rotated::Sibling);
    world.clock.advance(Duration::from_millis(1));
    let late = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &late, grace).await, Rotated::No, "the replacement is too old");
    let next = world.refresh(&grant, Some(child.hash));
    assert_eq!(rotate(world, &repos, &next, grace).await, Rotated::First, "its child is not");
}

pub(super) async fn an_ended_family_has_no_children(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let grace = Duration::from_secs(10);
    let (grant, token) = world.active(&repos, &alice, &server).await;
    let (other, _) = world.active(&repos, &alice, &server).await;

    let unknown = world.refresh(&grant, Some(world.hash()));
    assert_eq!(rotate(world, &repos, &unknown, grace).await, Rotated::No);
    let foreign = world.refresh(&other, Some(token.hash));
    assert_eq!(rotate(world, &repos, &foreign, grace).await, Rotated::No, "a child is of its parent's grant");

    repos.grants.revoke(grant.id, world.now(), &world.audit("a")).await.unwrap();
    let child = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &child, grace).await, Rotated::No);

    let (grant, token) = world.active(&repos, &alice, &server).await;
    let child = world.refresh(&grant, Some(token.hash));
    let (end, audit) = (token.expires_at, world.audit("a"));
    assert_eq!(repos.grants.rotate(&child, end, end, SIBLINGS, &audit).await.unwrap(), Rotated::No, "it expired");
    assert!(repos.grants.refresh(&token.hash).await.unwrap().unwrap().token.rotated_at.is_none());
}
