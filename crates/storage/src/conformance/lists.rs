//! Lists that come in pages.

use std::{fmt::Debug, time::Duration};

use model::{Role, ServerSlug, TenantSlug};

use super::{
    grants::revoked,
    world::{World, logged},
};
use crate::{
    Result, pages,
    repo::{Member, Repos, Revoked, ServerRevision, Tenant, TenantState},
};

/// What is read a little at a time is what is read at once, in the same order.
async fn same_in_pages<T, K, F>(all: &[T], page: impl Fn(Option<K>, u32) -> F, key: impl Fn(&T) -> K)
where
    T: Debug + PartialEq,
    F: Future<Output = Result<Vec<T>>>,
{
    assert!(all.len() > 3, "{}", all.len());
    assert_eq!(page(None, 100).await.unwrap(), all);
    for size in 1..=3 {
        let (mut seen, mut last) = (Vec::new(), None);
        loop {
            let found = page(last, size).await.unwrap();
            assert!(found.len() <= size as usize);
            last = found.last().map(&key);
            seen.extend(found);
            if last.is_none() {
                break;
            }
        }
        assert_eq!(seen, all, "{size} at a time");
    }
    assert_eq!(pages(page, key).await.unwrap(), all);
}

pub(super) async fn of_tenants_and_people_come_in_pages(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let acme = server.tenant;
    let mut members = vec![Member { tenant: acme, user: alice.id, role: Role::Owner }];
    for handle in ["bob", "carol", "dan", "eve"] {
        let user = world.user(handle);
        repos.users.create(&user, None, &[], &world.audit("a")).await.unwrap();
        let member = Member { tenant: acme, user: user.id, role: Role::Member };
        repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
        members.push(member);
    }
    same_in_pages(&members, |after, limit| repos.tenants.members(acme, after, limit), |member| member.user).await;
    assert_eq!(repos.tenants.role(acme, alice.id).await.unwrap(), Some(Role::Owner));
    assert_eq!(repos.tenants.role(acme, members[1].user).await.unwrap(), Some(Role::Member));
    assert_eq!(repos.tenants.role(acme, world.id()).await.unwrap(), None);
    assert_eq!(repos.tenants.role(world.id(), alice.id).await.unwrap(), None);

    // In the order of bytes, in which a dash comes before digits, and digits before letters.
    for slug in ["z-1", "ab-c", "abc", "ab1", "a-z"].map(|slug| format!("{slug}-x")) {
        let tenant = Tenant { state: TenantState::Suspended, ..world.tenant(&slug) };
        let owner = Member { tenant: tenant.id, user: alice.id, role: Role::Owner };
        repos.tenants.create(&tenant, &[owner], &world.audit("a")).await.unwrap();
    }
    let all = repos.tenants.memberships(alice.id, None, 100).await.unwrap();
    let slugs: Vec<_> = all.iter().map(|membership| membership.tenant.slug.as_str()).collect();
    assert_eq!(slugs, ["a-z-x", "ab-c-x", "ab1-x", "abc-x", "acme", "z-1-x"]);
    let page = |after: Option<TenantSlug>, limit| {
        let tenants = repos.tenants.clone();
        async move { tenants.memberships(alice.id, after.as_ref(), limit).await }
    };
    same_in_pages(&all, page, |membership| membership.tenant.slug.clone()).await;
    let tenants = repos.tenants.list(None, 100).await.unwrap();
    same_in_pages(&tenants, |after, limit| repos.tenants.list(after, limit), |tenant| tenant.id).await;
    let people = repos.users.list(None, 100).await.unwrap();
    same_in_pages(&people, |after, limit| repos.users.list(after, limit), |user| user.id).await;
}

pub(super) async fn of_servers_come_in_pages(world: &World, repos: Repos) {
    let (alice, echo) = world.acme(&repos).await;
    let acme = repos.tenants.tenant(echo.tenant).await.unwrap().unwrap();
    for slug in ["zulu", "ab-c", "abc", "ab1"] {
        let (server, revision) = world.server(&acme, slug);
        repos.servers.create(&server, &revision, &world.audit("a")).await.unwrap();
    }
    let all = repos.servers.list(acme.id, None, 100).await.unwrap();
    assert_eq!(
        all.iter().map(|server| server.slug.as_str()).collect::<Vec<_>>(),
        ["ab-c", "ab1", "abc", "echo", "zulu"]
    );
    let page = |after: Option<ServerSlug>, limit| {
        let servers = repos.servers.clone();
        async move { servers.list(acme.id, after.as_ref(), limit).await }
    };
    same_in_pages(&all, page, |server| server.slug.clone()).await;

    let mut revisions = vec![repos.servers.revision(acme.id, echo.live.unwrap()).await.unwrap().unwrap()];
    assert!(!repos.servers.made_by_hand(acme.id, echo.id).await.unwrap());
    for _ in 0..4 {
        let next = ServerRevision { id: world.id(), created_by: Some(alice.id), ..revisions[0].clone() };
        repos.servers.add_revision(&next, &world.audit("a")).await.unwrap();
        revisions.insert(0, next);
    }
    assert!(repos.servers.made_by_hand(acme.id, echo.id).await.unwrap());
    assert!(!repos.servers.made_by_hand(world.id(), echo.id).await.unwrap());
    let page = |before, limit| repos.servers.revisions(acme.id, echo.id, before, limit);
    same_in_pages(&revisions, page, |revision| revision.id).await;
}

pub(super) async fn of_grants_and_events_come_in_pages(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let (mut grants, start) = (Vec::new(), world.now());
    for _ in 0..6 {
        world.clock.advance(Duration::from_millis(10));
        let (grant, _) = world.active(&repos, &alice, &server).await;
        grants.insert(0, repos.grants.grant(grant.id).await.unwrap().unwrap());
    }
    let now = world.now();
    same_in_pages(&grants, |before, limit| repos.grants.of_user(alice.id, now, before, limit), |grant| grant.id).await;

    // Two at each of three moments.
    let mut ended = Vec::new();
    for pair in grants.chunks(2) {
        world.clock.advance(Duration::from_millis(10));
        for grant in pair {
            repos.grants.revoke(grant.id, world.now(), &world.audit("grant.revoked")).await.unwrap();
            ended.push(revoked(grant, world.now()));
        }
    }
    ended.sort_by_key(|revoked| (revoked.at, revoked.grant));
    let page = |after: Option<Revoked>, limit| {
        let grants = repos.grants.clone();
        async move { grants.revoked_since(start, after.as_ref(), limit).await }
    };
    same_in_pages(&ended, page, |last| *last).await;
    let later = ended[2].at;
    assert_eq!(repos.grants.revoked_since(later, None, 100).await.unwrap(), ended[2..]);

    for tenant in [None, Some(server.tenant)] {
        let mut last = None;
        for _ in 0..5 {
            let event = world.audit("a");
            let event = tenant.map_or(event.clone(), |tenant| event.in_tenant(tenant));
            repos.audit.append(&event).await.unwrap();
            assert!(logged(&repos, tenant, event.id).await);
            last = Some(event.id);
        }
        let all = repos.audit.newest(tenant, None, 100).await.unwrap();
        assert_eq!(all.first().map(|event| event.id), all.iter().map(|event| event.id).max());
        assert!(all.iter().any(|event| Some(event.id) == last));
        same_in_pages(&all, |before, limit| repos.audit.newest(tenant, before, limit), |event| event.id).await;
    }
}
