//! Calls of different kinds at the same moment. Whichever comes first, each promise holds afterwards, and
//! nobody is told to try again: neither refused for having waited in a ring, nor for a conflict.

use std::time::Duration;

use model::{Role, TenantSlug, Timestamp};

use super::world::{Call, World, at_once};
use crate::{
    Result, StorageError,
    repo::{
        ConnectionOwner, Grant, GrantState, Member, Redeemed, Replacement, Repos, Rotated, Server, SignInMethod,
        Tenant, UsageBatch, UsageCount, User,
    },
};

/// How often each race is run, since the moment decides.
const ROUNDS: usize = 12;
/// How many make the same call.
const EACH: usize = 4;

const RULES: Replacement = Replacement { grace: Duration::from_secs(10), lost: Duration::ZERO, siblings: 3 };

/// In every other round the calls are spawned the other way round.
fn shuffled<T>(round: usize, mut calls: Vec<Call<T>>) -> Vec<Call<T>> {
    if round % 2 == 1 {
        calls.reverse();
    }
    calls
}

/// The calls that succeeded. One that did not was told that something is taken or gone.
fn succeeded(answers: &[Result<()>]) -> usize {
    for answer in answers {
        let fair = matches!(answer, Ok(()) | Err(StorageError::Taken(_) | StorageError::Missing(_)));
        assert!(fair, "{answer:?}");
    }
    answers.iter().filter(|answer| answer.is_ok()).count()
}

/// Makes the calls and counts those that succeeded.
async fn count(round: usize, calls: Vec<Call<Result<()>>>) -> usize {
    succeeded(&at_once(shuffled(round, calls)).await)
}

async fn is_over(repos: &Repos, grant: &Grant) -> bool {
    let state = repos.grants.grant(grant.id).await.unwrap().unwrap().state;
    matches!(state, GrantState::Revoked { .. })
}

pub(super) async fn a_revoked_grant_stays_revoked(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    for round in 0..ROUNDS {
        let grant = world.grant(alice.id, &server);
        let code = world.code(&grant);
        repos.grants.authorize(&grant, &code, &world.audit("a")).await.unwrap();
        let tokens: Vec<_> = (0..EACH).map(|_| world.refresh(&grant, None)).collect();
        let mut calls: Vec<Call<bool>> = Vec::new();
        for token in &tokens {
            let (grants, token, now, audit) = (repos.grants.clone(), token.clone(), world.now(), world.audit("a"));
            calls.push(Box::pin(async move {
                grants.redeem(&code.hash, Some(&token), now, &audit).await.unwrap() == Redeemed::Yes
            }));
        }
        let (grants, id, now, audit) = (repos.grants.clone(), grant.id, world.now(), world.audit("a"));
        calls.push(Box::pin(async move { !grants.revoke(id, now, &audit).await.unwrap() }));
        let answers = at_once(shuffled(round, calls)).await;
        assert!(answers.iter().filter(|redeemed| **redeemed).count() <= 1, "round {round}");
        assert!(is_over(&repos, &grant).await, "round {round}");
        let mut minted = 0;
        for token in &tokens {
            minted += usize::from(repos.grants.refresh(&token.hash).await.unwrap().is_some());
            let child = world.refresh(&grant, Some(token.hash));
            let rotated = repos.grants.rotate(&child, now, &RULES, &world.audit("a")).await.unwrap();
            assert_eq!(rotated, Rotated::No, "round {round}");
        }
        assert_eq!(minted, answers.iter().filter(|redeemed| **redeemed).count(), "round {round}");
        let late = repos.grants.redeem(&code.hash, None, now, &world.audit("a")).await.unwrap();
        assert_eq!(late, Redeemed::No, "round {round}");
    }
}

pub(super) async fn a_revoked_family_gets_no_child(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    for round in 0..ROUNDS {
        let (grant, token) = world.active(&repos, &alice, &server).await;
        let children: Vec<_> = (0..EACH).map(|_| world.refresh(&grant, Some(token.hash))).collect();
        let now = world.now();
        let mut calls: Vec<Call<bool>> = Vec::new();
        for child in &children {
            let (grants, child, audit) = (repos.grants.clone(), child.clone(), world.audit("a"));
            calls.push(Box::pin(async move {
                let rotated = grants.rotate(&child, now, &RULES, &audit).await.unwrap();
                matches!(rotated, Rotated::First | Rotated::Sibling)
            }));
        }
        let (grants, id, audit) = (repos.grants.clone(), grant.id, world.audit("a"));
        calls.push(Box::pin(async move { !grants.revoke(id, now, &audit).await.unwrap() }));
        let answers = at_once(shuffled(round, calls)).await;
        let family = repos.grants.refresh(&token.hash).await.unwrap().unwrap();
        assert!(matches!(family.grant.state, GrantState::Revoked { .. }), "round {round}: {:?}", family.grant.state);
        let rotated = answers.iter().filter(|rotated| **rotated).count();
        assert_eq!(usize::try_from(family.children).unwrap(), rotated, "round {round}");
        assert!(rotated <= 3, "round {round}");
    }
}

/// Authorizes and does something else at the same moment.
async fn authorize_and(
    world: &World,
    repos: &Repos,
    round: usize,
    grant: &Grant,
    other: Call<Result<()>>,
) -> Vec<Result<()>> {
    let (grants, new, code, audit) = (repos.grants.clone(), grant.clone(), world.code(grant), world.audit("a"));
    let calls: Vec<Call<Result<()>>> =
        vec![Box::pin(async move { grants.authorize(&new, &code, &audit).await }), other];
    at_once(shuffled(round, calls)).await
}

/// Either the grant was never made, or it is over.
async fn has_no_grant(repos: &Repos, grant: &Grant) {
    if repos.grants.grant(grant.id).await.unwrap().is_some() {
        assert!(is_over(repos, grant).await);
    }
}

pub(super) async fn a_removed_member_has_no_grant(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    for round in 0..ROUNDS {
        let member = Member { tenant: server.tenant, user: alice.id, role: Role::Member };
        repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
        let grant = world.grant(alice.id, &server);
        let (tenants, audit) = (repos.tenants.clone(), world.audit("a"));
        let remove = async move { tenants.remove_member(member.tenant, member.user, &audit).await.map(drop) };
        succeeded(&authorize_and(world, &repos, round, &grant, Box::pin(remove)).await);
        has_no_grant(&repos, &grant).await;
    }
}

pub(super) async fn what_a_grant_rests_on_goes_with_it(world: &World, repos: Repos) {
    let (alice, echo) = world.acme(&repos).await;
    let acme = repos.tenants.tenant(echo.tenant).await.unwrap().unwrap();
    for round in 0..ROUNDS {
        let (server, revision) = world.server(&acme, &format!("server-{round}"));
        repos.servers.create(&server, &revision, &world.audit("a")).await.unwrap();
        let grant = world.grant(alice.id, &server);
        let (servers, audit) = (repos.servers.clone(), world.audit("a"));
        let delete = async move { servers.delete(server.tenant, server.id, &audit).await.map(drop) };
        succeeded(&authorize_and(world, &repos, round, &grant, Box::pin(delete)).await);
        has_no_grant(&repos, &grant).await;

        let name = format!("provider-{round}");
        let connection = world.connection(ConnectionOwner::Platform, &name, &name);
        repos.connections.create(&connection, &world.audit("a")).await.unwrap();
        let grant = Grant { method: SignInMethod::Connection(connection.id), ..world.grant(alice.id, &echo) };
        let (connections, audit) = (repos.connections.clone(), world.audit("a"));
        let delete = async move { connections.delete(connection.id, &audit).await.map(drop) };
        succeeded(&authorize_and(world, &repos, round, &grant, Box::pin(delete)).await);
        has_no_grant(&repos, &grant).await;

        let bob = world.user(&format!("bob-{round}"));
        repos.users.create(&bob, None, &[], &world.audit("a")).await.unwrap();
        let member = Member { tenant: acme.id, user: bob.id, role: Role::Member };
        repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
        let grant = world.grant(bob.id, &echo);
        let (users, audit) = (repos.users.clone(), world.audit("a"));
        let delete = async move { users.delete(bob.id, &audit).await.map(drop) };
        succeeded(&authorize_and(world, &repos, round, &grant, Box::pin(delete)).await);
        has_no_grant(&repos, &grant).await;
    }
}

fn renamed(repos: &Repos, world: &World, tenant: &Tenant, slug: &TenantSlug) -> Call<Result<()>> {
    let (tenants, audit) = (repos.tenants.clone(), world.audit("a"));
    let renamed = Tenant { slug: slug.clone(), ..tenant.clone() };
    Box::pin(async move { tenants.update(&renamed, &audit).await })
}

pub(super) async fn one_tenant_gets_a_slug(world: &World, repos: Repos) {
    for round in 0..ROUNDS {
        let [left, right, gone] = ["left", "right", "gone"].map(|name| world.tenant(&format!("{name}-{round}")));
        for tenant in [&left, &right, &gone] {
            repos.tenants.create(tenant, &[], &world.audit("a")).await.unwrap();
        }
        // Each wants the other's, and both that of one that goes.
        let (tenants, audit, id) = (repos.tenants.clone(), world.audit("a"), gone.id);
        let calls: Vec<Call<Result<()>>> = vec![
            renamed(&repos, world, &left, &right.slug),
            renamed(&repos, world, &right, &left.slug),
            Box::pin(async move { tenants.delete(id, &audit).await.map(drop) }),
            renamed(&repos, world, &left, &gone.slug),
            renamed(&repos, world, &right, &gone.slug),
        ];
        assert_eq!(count(round, calls).await, 1, "only the removal: round {round}");
        assert!(repos.tenants.by_slug(&gone.slug).await.unwrap().is_none());

        // Both want a new one, and so does a new tenant.
        let fresh = world.tenant(&format!("fresh-{round}"));
        let (tenants, audit, new) = (repos.tenants.clone(), world.audit("a"), fresh.clone());
        let calls: Vec<Call<Result<()>>> = vec![
            renamed(&repos, world, &left, &fresh.slug),
            Box::pin(async move { tenants.create(&new, &[], &audit).await }),
            renamed(&repos, world, &right, &fresh.slug),
        ];
        assert_eq!(count(round, calls).await, 1, "round {round}");
        let owner = repos.tenants.by_slug(&fresh.slug).await.unwrap().unwrap();
        for tenant in [&left, &right] {
            let found = repos.tenants.tenant(tenant.id).await.unwrap().unwrap();
            assert_eq!(found.slug == fresh.slug, owner.id == tenant.id, "round {round}");
        }
    }
}

pub(super) async fn one_server_gets_a_slug(world: &World, repos: Repos) {
    let (_, echo) = world.acme(&repos).await;
    let acme = repos.tenants.tenant(echo.tenant).await.unwrap().unwrap();
    let renamed = |server: &Server, to: &Server| -> Call<Result<()>> {
        let (servers, audit) = (repos.servers.clone(), world.audit("a"));
        let renamed = Server { slug: to.slug.clone(), ..server.clone() };
        Box::pin(async move { servers.update(&renamed, &audit).await })
    };
    for round in 0..ROUNDS {
        let [left, right, fresh] =
            ["left", "right", "fresh"].map(|name| world.server(&acme, &format!("{name}-{round}")));
        for (server, revision) in [&left, &right] {
            repos.servers.create(server, revision, &world.audit("a")).await.unwrap();
        }
        let calls = vec![renamed(&left.0, &right.0), renamed(&right.0, &left.0)];
        assert_eq!(count(round, calls).await, 0, "round {round}");
        let (servers, audit, new) = (repos.servers.clone(), world.audit("a"), fresh.clone());
        let calls: Vec<Call<Result<()>>> = vec![
            renamed(&left.0, &fresh.0),
            Box::pin(async move { servers.create(&new.0, &new.1, &audit).await }),
            renamed(&right.0, &fresh.0),
        ];
        assert_eq!(count(round, calls).await, 1, "round {round}");
        let owner = repos.servers.by_slug(acme.id, &fresh.0.slug).await.unwrap().unwrap();
        for (server, _) in [&left, &right] {
            let found = repos.servers.server(acme.id, server.id).await.unwrap().unwrap();
            assert_eq!(found.slug == fresh.0.slug, owner.id == server.id, "round {round}");
        }
    }
}

pub(super) async fn a_deleted_tenant_gets_nothing_new(world: &World, repos: Repos) {
    let alice = world.user("alice");
    repos.users.create(&alice, None, &[], &world.audit("a")).await.unwrap();
    for round in 0..ROUNDS {
        let tenant = world.tenant(&format!("tenant-{round}"));
        repos.tenants.create(&tenant, &[], &world.audit("a")).await.unwrap();
        let (old, revision) = world.server(&tenant, "old");
        repos.servers.create(&old, &revision, &world.audit("a")).await.unwrap();
        let (new, first) = world.server(&tenant, "young");
        let connection = world.connection(ConnectionOwner::Tenant(tenant.id), "sso", &format!("tenant-{round}.sso"));
        let member = Member { tenant: tenant.id, user: alice.id, role: Role::Owner };
        let moved = Server { slug: "moved".parse().unwrap(), ..old.clone() };
        let (made, id) = (connection.clone(), tenant.id);
        let (one, two, three, four, five) = (repos.clone(), repos.clone(), repos.clone(), repos.clone(), repos.clone());
        let [joined, made_one, removed, linked, renamed] = [(); 5].map(|()| world.audit("a"));
        let calls: Vec<Call<Result<()>>> = vec![
            Box::pin(async move { one.tenants.put_member(&member, &joined).await }),
            Box::pin(async move { two.servers.create(&new, &first, &made_one).await }),
            Box::pin(async move { three.tenants.delete(id, &removed).await.map(drop) }),
            Box::pin(async move { four.connections.create(&made, &linked).await }),
            Box::pin(async move { five.servers.update(&moved, &renamed).await }),
        ];
        assert!(count(round, calls).await >= 1, "at least the removal: round {round}");
        assert!(repos.tenants.tenant(tenant.id).await.unwrap().is_none());
        assert!(repos.tenants.memberships(alice.id, None, 100).await.unwrap().is_empty());
        assert!(repos.servers.list(tenant.id, None, 100).await.unwrap().is_empty());
        assert!(repos.connections.connection(connection.id).await.unwrap().is_none());
    }
}

pub(super) async fn set_up_and_a_person_of_the_same_name(world: &World, repos: Repos) {
    let (first, second) = (world.user("alice"), world.user("alice"));
    let mut calls: Vec<Call<Result<()>>> = Vec::new();
    for at in 0..EACH {
        let (users, user, audit) = (repos.users.clone(), first.clone(), world.audit("a"));
        let account = World::account(&user, "alice@example.com");
        calls.push(Box::pin(async move {
            let done = users.complete_setup(&user, &account, &audit).await?;
            if done { Ok(()) } else { Err(StorageError::Taken("set-up")) }
        }));
        let (users, audit) = (repos.users.clone(), world.audit("a"));
        let user = User { id: if at == 0 { second.id } else { world.id() }, ..second.clone() };
        let account = World::account(&user, "alice@example.com");
        calls.push(Box::pin(async move { users.create(&user, Some(&account), &[], &audit).await }));
    }
    assert_eq!(count(0, calls).await, 1);
    assert_eq!(repos.users.list(None, 10).await.unwrap().len(), 1);
    assert!(repos.users.setup_closed().await.unwrap());
}

/// Everybody is in every tenant and has grants everywhere; then people, tenants, servers and memberships go
/// at the same moment.
pub(super) async fn removals_do_not_wait_in_a_ring(world: &World, repos: Repos) {
    let people: Vec<_> = (0..EACH).map(|at| world.user(&format!("user-{at}"))).collect();
    for person in &people {
        repos.users.create(person, None, &[], &world.audit("a")).await.unwrap();
    }
    let (mut calls, mut all): (Vec<Call<Result<()>>>, _) = (Vec::new(), Vec::new());
    let mut servers = Vec::new();
    for at in 0..EACH {
        let tenant = world.tenant(&format!("tenant-{at}"));
        let member = |user: &User| Member { tenant: tenant.id, user: user.id, role: Role::Member };
        let members: Vec<_> = people.iter().map(member).collect();
        repos.tenants.create(&tenant, &members, &world.audit("a")).await.unwrap();
        let (server, revision) = world.server(&tenant, "echo");
        let revision = crate::repo::ServerRevision { created_by: Some(people[at].id), ..revision };
        repos.servers.create(&server, &revision, &world.audit("a")).await.unwrap();
        servers.push(server.clone());
        for person in &people {
            all.push(world.active(&repos, person, &server).await.0);
        }
        let [a, b, c, d] = [(); 4].map(|()| world.audit("a"));
        let (one, two, three, four) = (repos.clone(), repos.clone(), repos.clone(), repos.clone());
        let (person, other) = (people[at].id, people[(at + 1) % EACH].id);
        calls.push(Box::pin(async move { one.users.delete(person, &a).await.map(drop) }));
        calls.push(Box::pin(async move { two.tenants.delete(tenant.id, &b).await.map(drop) }));
        calls.push(Box::pin(async move { three.servers.delete(server.tenant, server.id, &c).await.map(drop) }));
        calls.push(Box::pin(async move { four.tenants.remove_member(server.tenant, other, &d).await.map(drop) }));
    }
    for (at, grant) in all.iter().enumerate() {
        let (grants, id, now, audit) = (repos.grants.clone(), grant.id, world.now(), world.audit("a"));
        if at % 3 == 0 {
            calls.push(Box::pin(async move { grants.revoke(id, now, &audit).await.map(drop) }));
        }
    }
    // Counts of an hour that has some already, and of one that has none.
    repos.usage.add(&used(world, &servers, 1), world.now()).await.unwrap();
    for _ in 0..EACH {
        let (usage, batch, now) = (repos.usage.clone(), used(world, &servers, 2), world.now());
        calls.push(Box::pin(async move { usage.add(&batch, now).await.map(drop) }));
    }
    let many = calls.len();
    assert_eq!(count(1, calls).await, many, "all of them succeed");
    for grant in &all {
        assert!(is_over(&repos, grant).await);
    }
    assert!(!repos.users.any().await.unwrap());
}

/// A batch of counts of every server, in each of the first `hours`.
fn used(world: &World, servers: &[Server], hours: i64) -> UsageBatch {
    let count = |server: &Server, hour| UsageCount {
        tenant: server.tenant,
        server: server.id,
        hour: Timestamp::from_millis(hour * 3_600_000),
        calls: 1,
        errors: 0,
    };
    let counts = servers.iter().flat_map(|server| (0..hours).map(move |hour| count(server, hour))).collect();
    UsageBatch { id: world.id(), counts }
}
