//! Refresh tokens: each use replaces the token.

use std::time::Duration;

use super::{
    CALLERS,
    world::{World, race},
};
use crate::{
    ChangeKind, TOMBSTONE_LIFE,
    repo::{GrantState, Raised, Refresh, Replacement, Repos, Rotated, SIBLING_LIFE},
};

const SIBLINGS: u32 = 3;
const GRACE: Duration = Duration::from_secs(10);
const LOST: Duration = Duration::from_hours(24);

fn rules(grace: Duration) -> Replacement {
    Replacement { grace, lost: LOST, siblings: SIBLINGS }
}

pub(super) async fn one_is_first(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, token) = world.active(&repos, &alice, &server).await;
    world.clock.advance(Duration::from_secs(7));
    let children: Vec<_> = (0..CALLERS).map(|_| world.refresh(&grant, Some(token.hash))).collect();
    let rotated = race(CALLERS, |at| {
        let (grants, child) = (repos.grants.clone(), children[at].clone());
        let (now, audit) = (world.now(), world.audit("grant.used"));
        async move { (grants.rotate(&child, now, &rules(GRACE), &audit).await.unwrap(), child) }
    })
    .await;
    let count = |wanted| rotated.iter().filter(|(got, _)| *got == wanted).count();
    assert_eq!((count(Rotated::First), count(Rotated::Sibling)), (1, SIBLINGS as usize - 1));
    for (got, child) in &rotated {
        let stored = repos.grants.refresh(&child.hash).await.unwrap();
        let written = matches!(got, Rotated::First | Rotated::Sibling);
        assert!(written || *got == Rotated::TooMany, "{got:?}");
        assert_eq!(stored.is_some(), written, "for the others nothing is written");
    }
    let family = repos.grants.refresh(&token.hash).await.unwrap().unwrap();
    assert_eq!((family.token.rotated_at, family.children), (Some(world.now()), SIBLINGS));
    assert_eq!(family.grant.last_used_at, Some(world.now()));
}

async fn rotate(world: &World, repos: &Repos, child: &Refresh, grace: Duration) -> Rotated {
    let now = world.now();
    repos.grants.rotate(child, now, &rules(grace), &world.audit("a")).await.unwrap()
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
    let third = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &third, grace).await, Rotated::Sibling);
    let fourth = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &fourth, grace).await, Rotated::TooMany);
    let next = world.refresh(&grant, Some(child.hash));
    assert_eq!(rotate(world, &repos, &next, grace).await, Rotated::First, "and nothing happened to the family");
    world.clock.advance(Duration::from_millis(1));
    let (late, event) = (world.refresh(&grant, Some(token.hash)), world.audit("a"));
    let rotated = repos.grants.rotate(&late, world.now(), &rules(grace), &event).await.unwrap();
    assert_eq!(rotated, Rotated::Reused, "a child was replaced, so it had arrived");
    let logged = repos.audit.newest(None, None, 1000).await.unwrap();
    let logged = logged.iter().find(|logged| logged.id == event.id).unwrap();
    assert_eq!(logged.action, "grant.refresh_reused");
    let family = repos.grants.refresh(&next.hash).await.unwrap().unwrap();
    assert!(matches!(family.grant.state, GrantState::Revoked { .. }), "the whole family is dead");
    assert_eq!(repos.changes.since(0, 1000).await.unwrap().last().unwrap().subject, *grant.id.bytes());
    assert!(repos.grants.refresh(&late.hash).await.unwrap().is_none());
}

pub(super) async fn a_lost_answer_is_given_again(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, token) = world.active(&repos, &alice, &server).await;
    let lost = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &lost, GRACE).await, Rotated::First);
    world.clock.advance(LOST);
    let head = repos.changes.head().await.unwrap();
    let again = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &again, GRACE).await, Rotated::Recovered { version: 2 });
    let raised = Raised { at: world.now(), grant: grant.id, version: 2 };
    let change = repos.changes.since(head, 10).await.unwrap();
    assert_eq!((change.len(), change[0].kind, change[0].subject), (1, ChangeKind::GrantVersion, *grant.id.bytes()));
    assert_eq!(repos.grants.versions(&[grant.id, world.id()]).await.unwrap(), [raised]);
    assert_eq!(repos.grants.raised_since(world.now(), None, 10).await.unwrap(), [raised]);
    assert!(repos.grants.raised_since(world.now(), Some(&raised), 10).await.unwrap().is_empty());
    let family = repos.grants.refresh(&lost.hash).await.unwrap().unwrap();
    assert_eq!((family.token.superseded_at, family.grant.version), (Some(world.now()), 2));
    assert_eq!(repos.grants.refresh(&token.hash).await.unwrap().unwrap().children, 1, "without the superseded one");

    // Clients race here as well: the grace begins anew.
    let sibling = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &sibling, GRACE).await, Rotated::Sibling);
    // Somebody had it after all.
    let found = world.refresh(&grant, Some(lost.hash));
    assert_eq!(rotate(world, &repos, &found, GRACE).await, Rotated::Reused);
}

pub(super) async fn what_was_seen_was_not_lost(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, token) = world.active(&repos, &alice, &server).await;
    let child = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &child, GRACE).await, Rotated::First);
    repos.grants.note_uses(&[world.id(), child.token.unwrap()], world.now()).await.unwrap();
    let first = world.now();
    world.clock.advance(GRACE + Duration::from_millis(1));
    repos.grants.note_uses(&[child.token.unwrap()], world.now()).await.unwrap();
    assert_eq!(repos.grants.refresh(&child.hash).await.unwrap().unwrap().token.used_at, Some(first));
    let late = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &late, GRACE).await, Rotated::Reused);

    let (grant, token) = world.active(&repos, &alice, &server).await;
    let child = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &child, GRACE).await, Rotated::First);
    world.clock.advance(LOST + Duration::from_millis(1));
    let late = world.refresh(&grant, Some(token.hash));
    assert_eq!(rotate(world, &repos, &late, GRACE).await, Rotated::Reused, "it is too old to be lost");
}

pub(super) async fn unused_siblings_go(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, token) = world.active(&repos, &alice, &server).await;
    let (used, idle) = (world.refresh(&grant, Some(token.hash)), world.refresh(&grant, Some(token.hash)));
    assert_eq!(rotate(world, &repos, &used, GRACE).await, Rotated::First);
    assert_eq!(rotate(world, &repos, &idle, GRACE).await, Rotated::Sibling);
    world.clock.advance(SIBLING_LIFE + Duration::from_millis(1));
    let purge = async || repos.grants.purge(world.now() - TOMBSTONE_LIFE, 100).await.unwrap();
    purge().await;
    assert!(repos.grants.refresh(&idle.hash).await.unwrap().is_some(), "neither was used");
    repos.grants.note_uses(&[used.token.unwrap()], world.now()).await.unwrap();
    assert_eq!(purge().await, 1);
    assert!(repos.grants.refresh(&idle.hash).await.unwrap().is_none());
    assert!(repos.grants.refresh(&used.hash).await.unwrap().is_some());
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
    assert_eq!(repos.grants.rotate(&child, end, &rules(grace), &audit).await.unwrap(), Rotated::No, "it expired");
    assert!(repos.grants.refresh(&token.hash).await.unwrap().unwrap().token.rotated_at.is_none());
}
