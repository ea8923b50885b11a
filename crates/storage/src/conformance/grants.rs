//! Grants and authorization codes.

use model::Timestamp;

use super::{
    CALLERS,
    world::{HOUR, World, logged, race},
};
use crate::{
    ChangeKind, StorageError,
    repo::{
        Code, Grant, GrantState, GrantsOf, RESOURCE_CREDENTIALS, Redeemed, Repos, ResourceCredential, Revoked,
        RevokedToken, Server, SignInMethod, TokenPolicy, User,
    },
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

pub(super) async fn end_together(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let bob = world.user("bob");
    repos.users.create(&bob, None, &[], &world.audit("a")).await.unwrap();
    let member = crate::repo::Member { tenant: server.tenant, user: bob.id, role: model::Role::Member };
    repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
    for of in [
        GrantsOf::User(alice.id),
        GrantsOf::Member(server.tenant, alice.id),
        GrantsOf::Client(None, "c_mine".to_owned()),
        GrantsOf::Client(Some(server.tenant), "c_mine".to_owned()),
        GrantsOf::Grant(world.id()),
    ] {
        let mut mine = world.grant(alice.id, &server);
        "c_mine".clone_into(&mut mine.client_id);
        if let GrantsOf::Grant(id) = &of {
            mine.id = *id;
        }
        let other = world.grant(bob.id, &server);
        for grant in [&mine, &other] {
            repos.grants.authorize(grant, &world.code(grant), &world.audit("a")).await.unwrap();
        }
        let head = repos.changes.head().await.unwrap();
        assert_eq!(repos.grants.raise(&of, world.now(), &world.audit("a")).await.unwrap(), 1, "{of:?}");
        assert_eq!(repos.grants.end(&of, world.now(), &world.audit("a")).await.unwrap(), 1, "{of:?}");
        let event = world.audit("a");
        assert_eq!(repos.grants.end(&of, world.now(), &event).await.unwrap(), 0, "{of:?}: once");
        assert!(!logged(&repos, None, event.id).await);
        let changes = repos.changes.since(head, 10).await.unwrap();
        let changes: Vec<_> = changes.iter().map(|change| (change.kind, change.subject)).collect();
        let subject = *mine.id.bytes();
        assert_eq!(changes, [(ChangeKind::GrantVersion, subject), (ChangeKind::Grant, subject)], "{of:?}");
        let mine = repos.grants.grant(mine.id).await.unwrap().unwrap();
        assert!(matches!(mine.state, GrantState::Revoked { .. }) && mine.version == 2, "{of:?}");
        let other = repos.grants.grant(other.id).await.unwrap().unwrap();
        assert!(other.state == GrantState::Pending && other.version == 1, "{of:?}");
    }
    let everything = [GrantsOf::Server(server.tenant, server.id), GrantsOf::Tenant(server.tenant)];
    for of in everything {
        repos.grants.end(&of, world.now(), &world.audit("a")).await.unwrap();
        let grant = world.grant(alice.id, &server);
        repos.grants.authorize(&grant, &world.code(&grant), &world.audit("a")).await.unwrap();
        assert_eq!(repos.grants.end(&of, world.now(), &world.audit("a")).await.unwrap(), 1, "{of:?}");
    }
    assert_eq!(repos.grants.end(&GrantsOf::Connection(world.id()), world.now(), &world.audit("a")).await.unwrap(), 0);
}

pub(super) async fn single_tokens_are_revoked_once(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let token = RevokedToken { id: world.id(), tenant: server.tenant, expires_at: world.now() + HOUR };
    let (first, second) = (world.audit("token.revoked"), world.audit("token.revoked"));
    assert!(repos.grants.revoke_token(&token, &first).await.unwrap());
    assert!(!repos.grants.revoke_token(&token, &second).await.unwrap());
    assert!(logged(&repos, None, first.id).await && !logged(&repos, None, second.id).await);
    let last = *repos.changes.since(0, 100).await.unwrap().last().unwrap();
    assert_eq!((last.kind, last.subject), (ChangeKind::Token, *token.id.bytes()));
    assert_eq!(repos.grants.revoked_tokens(world.now(), None, 10).await.unwrap(), [token]);
    assert!(repos.grants.revoked_tokens(world.now(), Some(token.id), 10).await.unwrap().is_empty());
    assert!(repos.grants.revoked_tokens(token.expires_at, None, 10).await.unwrap().is_empty());
    assert_eq!(repos.grants.purge(token.expires_at + HOUR, 10).await.unwrap(), 1);
    assert!(repos.grants.revoked_tokens(world.now(), None, 10).await.unwrap().is_empty());
}

pub(super) async fn resource_servers_have_few_credentials(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let credentials = &repos.resource_credentials;
    let create = async |credential: &ResourceCredential| credentials.create(credential, &world.audit("a")).await;
    let one = world.credential(&server, "name-0");
    create(&one).await.unwrap();
    assert_eq!(credentials.credential(one.id).await.unwrap(), Some(one.clone()));
    let same = create(&world.credential(&server, "name-0")).await;
    assert!(matches!(same, Err(StorageError::Taken(_))), "{same:?}");
    for at in 1..RESOURCE_CREDENTIALS {
        create(&world.credential(&server, &format!("name-{at}"))).await.unwrap();
    }
    let more = create(&world.credential(&server, "more")).await;
    assert!(matches!(more, Err(StorageError::Taken(_))), "{more:?}");
    let all = credentials.of_server(server.tenant, server.id).await.unwrap();
    assert_eq!((all.len(), &all[0]), (RESOURCE_CREDENTIALS as usize, &one));
    let event = world.audit("a");
    assert!(!credentials.remove(world.id(), server.id, one.id, &event).await.unwrap(), "another tenant's hands off");
    assert!(credentials.remove(server.tenant, server.id, one.id, &event).await.unwrap());
    assert!(!credentials.remove(server.tenant, server.id, one.id, &world.audit("a")).await.unwrap());
    assert_eq!(credentials.credential(one.id).await.unwrap(), None);
    let foreign = ResourceCredential { server: world.id(), ..one };
    let foreign = create(&foreign).await;
    assert!(matches!(foreign, Err(StorageError::Missing(_))), "{foreign:?}");

    assert_eq!(credentials.policy(server.tenant).await.unwrap(), TokenPolicy::default());
    for policy in [
        TokenPolicy { access: Some(HOUR), refresh_grace: Some(std::time::Duration::ZERO) },
        TokenPolicy { access: None, refresh_grace: Some(HOUR) },
    ] {
        credentials.set_policy(server.tenant, &policy, &world.audit("a")).await.unwrap();
        assert_eq!(credentials.policy(server.tenant).await.unwrap(), policy);
        assert_eq!(repos.tenants.view(server.tenant).await.unwrap().unwrap().tokens, policy);
    }
    assert_eq!(repos.changes.since(0, 100).await.unwrap().last().unwrap().kind, ChangeKind::Tenant);
    let (tenant, policy) = (world.id(), TokenPolicy::default());
    assert!(credentials.set_policy(tenant, &policy, &world.audit("a")).await.is_err(), "there is no such tenant");
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
