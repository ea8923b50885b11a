//! Grants and authorization codes.

use model::Timestamp;

use super::{
    CALLERS,
    world::{HOUR, World, logged, race},
};
use crate::{
    StorageError,
    repo::{Code, Grant, GrantState, Redeemed, Repos, Revoked, Server, SignInMethod, User},
};

pub(super) async fn one_redemption_wins(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let grant = world.grant(alice.id, &server);
    let code = world.code(&grant);
    repos.grants.authorize(&grant, &code, &world.audit("a")).await.unwrap();
    assert_eq!(repos.grants.code(&code.hash).await.unwrap(), Some((code.clone(), grant.clone())));
    assert!(
        repos.grants.of_user(alice.id, world.now(), None, 100).await.unwrap().is_empty(),
        "a pending grant is not shown"
    );

    let tokens: Vec<_> = (0..CALLERS).map(|_| world.refresh(&grant, None)).collect();
    let redeemed = race(CALLERS, |at| {
        let (grants, hash, token) = (repos.grants.clone(), code.hash, tokens[at].clone());
        let (now, audit) = (world.now(), world.audit("grant.created"));
        async move { (grants.redeem(&hash, Some(&token), now, &audit).await.unwrap(), token, audit.id) }
    })
    .await;
    let mut winners = 0;
    for (redeemed, token, event) in redeemed {
        let won = redeemed == Redeemed::Yes;
        winners += u32::from(won);
        let stored = repos.grants.refresh(&token.hash).await.unwrap().map(|family| family.token);
        assert_eq!(stored, won.then_some(token), "only the winner's token is there");
        assert_eq!(logged(&repos, None, event).await, won);
    }
    assert_eq!(winners, 1);
    let (used, grant) = repos.grants.code(&code.hash).await.unwrap().unwrap();
    assert_eq!(used.used_at, Some(world.now()), "the code stays as a tombstone");
    assert_eq!((grant.state, grant.last_used_at), (GrantState::Active, Some(world.now())));
    assert_eq!(repos.grants.of_user(alice.id, world.now(), None, 100).await.unwrap(), std::slice::from_ref(&grant));
    assert!(repos.grants.of_user(alice.id, grant.expires_at, None, 100).await.unwrap().is_empty());
}

pub(super) async fn rest_on_what_is_there(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let bob = world.user("bob");
    repos.users.create(&bob, None, &[], &world.audit("a")).await.unwrap();
    let own = world.grant(alice.id, &server);
    let unknown = SignInMethod::Connection(world.id());
    for resting in [
        Grant { user: world.id(), ..own.clone() },
        Grant { user: bob.id, ..own.clone() },
        Grant { server: world.id(), ..own.clone() },
        Grant { tenant: world.id(), ..own.clone() },
        Grant { method: unknown, ..own.clone() },
    ] {
        let (code, audit) = (world.code(&resting), world.audit("a"));
        let authorized = repos.grants.authorize(&resting, &code, &audit).await;
        assert!(matches!(authorized, Err(StorageError::Missing(_))), "{authorized:?}");
        assert!(repos.grants.grant(resting.id).await.unwrap().is_none());
        assert!(!logged(&repos, None, audit.id).await);
    }
    repos.grants.authorize(&own, &world.code(&own), &world.audit("a")).await.unwrap();
}

async fn pending(world: &World, repos: &Repos, alice: &User, server: &Server) -> (Grant, Code) {
    let grant = world.grant(alice.id, server);
    let code = world.code(&grant);
    repos.grants.authorize(&grant, &code, &world.audit("a")).await.unwrap();
    (grant, code)
}

pub(super) async fn a_bad_code_is_no_code(world: &World, repos: Repos) {
    let redeem = async |code: &Code, now| repos.grants.redeem(&code.hash, None, now, &world.audit("a")).await.unwrap();
    let (alice, server) = world.acme(&repos).await;
    let now = world.now();

    let (_, expired) = pending(world, &repos, &alice, &server).await;
    assert_eq!(redeem(&expired, expired.expires_at).await, Redeemed::No);
    assert_eq!(repos.grants.code(&expired.hash).await.unwrap().unwrap().0, expired, "and nothing was written");

    let (_, guessed) = pending(world, &repos, &alice, &server).await;
    for _ in 0..4 {
        repos.grants.count_failure(&guessed.hash).await.unwrap();
    }
    assert_eq!(redeem(&guessed, now).await, Redeemed::Yes, "four failures do not burn it");
    let (_, burnt) = pending(world, &repos, &alice, &server).await;
    for _ in 0..5 {
        repos.grants.count_failure(&burnt.hash).await.unwrap();
    }
    assert_eq!(repos.grants.code(&burnt.hash).await.unwrap().unwrap().0.failures, 5);
    assert_eq!(redeem(&burnt, now).await, Redeemed::No);

    let (grant, revoked) = pending(world, &repos, &alice, &server).await;
    assert!(repos.grants.revoke(grant.id, now, &world.audit("a")).await.unwrap());
    assert_eq!(redeem(&revoked, now).await, Redeemed::No);
    assert_eq!(redeem(&world.code(&grant), now).await, Redeemed::No, "an unknown code is none");
    assert!(repos.grants.code(&world.hash()).await.unwrap().is_none());

    // A token of another grant is not minted, and the code stays.
    let (_, code) = pending(world, &repos, &alice, &server).await;
    let foreign = world.refresh(&grant, None);
    assert!(repos.grants.redeem(&code.hash, Some(&foreign), now, &world.audit("a")).await.is_err());
    assert_eq!(repos.grants.code(&code.hash).await.unwrap().unwrap().0, code);
}

pub(super) fn revoked(grant: &Grant, at: Timestamp) -> Revoked {
    Revoked { at, grant: grant.id }
}

pub(super) async fn end_once(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (grant, _) = world.active(&repos, &alice, &server).await;
    let answers = race(CALLERS, |_| {
        let (grants, id, now, audit) = (repos.grants.clone(), grant.id, world.now(), world.audit("grant.revoked"));
        async move { (grants.revoke(id, now, &audit).await.unwrap(), audit.id) }
    })
    .await;
    for (won, event) in &answers {
        assert_eq!(logged(&repos, None, *event).await, *won);
    }
    assert_eq!(answers.iter().filter(|(won, _)| *won).count(), 1);
    assert!(repos.grants.of_user(alice.id, world.now(), None, 100).await.unwrap().is_empty());
    assert_eq!(repos.grants.revoked_since(world.now(), None, 100).await.unwrap(), [revoked(&grant, world.now())]);
    assert!(repos.grants.revoked_since(world.now() + HOUR, None, 100).await.unwrap().is_empty());
    assert!(!repos.grants.revoke(world.id(), world.now(), &world.audit("a")).await.unwrap());
}

pub(super) async fn are_cleaned_up(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (kept, kept_token) = world.active(&repos, &alice, &server).await;
    let (ended, ended_token) = world.active(&repos, &alice, &server).await;
    let (nothing, code) = pending(world, &repos, &alice, &server).await;
    assert!(repos.grants.revoke(ended.id, world.now(), &world.audit("a")).await.unwrap());

    assert_eq!(repos.grants.purge(world.now(), 100).await.unwrap(), 0, "nothing ended before now");
    let before = world.now() + HOUR;
    while repos.grants.purge(before, 1).await.unwrap() > 0 {}
    assert!(repos.grants.code(&code.hash).await.unwrap().is_none());
    assert!(repos.grants.grant(nothing.id).await.unwrap().is_none(), "it came to nothing");
    assert!(repos.grants.grant(ended.id).await.unwrap().is_none());
    assert!(repos.grants.refresh(&ended_token.hash).await.unwrap().is_none());
    assert!(repos.grants.grant(kept.id).await.unwrap().is_some());
    assert!(repos.grants.refresh(&kept_token.hash).await.unwrap().is_some());

    while repos.grants.purge(kept.expires_at + HOUR, 1).await.unwrap() > 0 {}
    assert!(repos.grants.refresh(&kept_token.hash).await.unwrap().is_none());
    assert!(repos.grants.grant(kept.id).await.unwrap().is_none());
}
