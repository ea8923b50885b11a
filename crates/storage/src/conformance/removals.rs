//! Removing what has more rows than one transaction can change in its time.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{OsEntropy, Role, ServerId, SystemClock, TenantId, Timestamp, UserId};
use tokio::{task::JoinHandle, time::timeout};

use super::world::World;
use crate::{
    AT_ONCE, Change, ChangeKind, Collection, Durability, KeyValue, Maintenance, Owner, Place, StorageError,
    repo::{Actor, AuditEvent, ConnectionOwner, Member, Repos, Server, SignInMethod, Tenant, User},
};

const VAULT: Collection = Collection { name: "vault", durability: Durability::Durable, format: 1, reads: &[] };

/// Rows that are to be made at once, because one by one they would take minutes.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// In which tenant.
    pub tenant: TenantId,
    /// On which of its servers.
    pub server: ServerId,
    /// Of whom.
    pub user: UserId,
    /// How they signed in.
    pub method: String,
    /// Of which client.
    pub client: String,
    /// The resource of the grants.
    pub resource: String,
    /// How many active grants.
    pub grants: u32,
    /// For how many hours, from the first of 1970 on, the server was used.
    pub hours: u32,
    /// How many values of the tenant, in the collection `vault`, with the keys `1`, `2`, …
    pub values: u32,
    /// Now.
    pub at: Timestamp,
    /// When the grants end.
    pub until: Timestamp,
}

impl Bulk {
    fn new(world: &World, user: UserId, server: &Server, grants: u32) -> Self {
        let grant = world.grant(user, server);
        Self {
            tenant: server.tenant,
            server: server.id,
            user,
            method: SignInMethod::Local.to_string(),
            client: "c_1".to_owned(),
            resource: grant.resource.to_string(),
            grants,
            hours: 0,
            values: 0,
            at: world.now(),
            until: grant.expires_at,
        }
    }
}

/// A tenant with one member and one server; `name` is used for all of them.
async fn tenant(world: &World, repos: &Repos, name: &str) -> (Tenant, User, Server) {
    let (tenant, user) = (world.tenant(name), world.user(name));
    let (server, revision) = world.server(&tenant, name);
    let member = Member { tenant: tenant.id, user: user.id, role: Role::Member };
    repos.users.create(&user, None, &[], &world.audit("a")).await.unwrap();
    repos.tenants.create(&tenant, &[member], &world.audit("a")).await.unwrap();
    repos.servers.create(&server, &revision, &world.audit("a")).await.unwrap();
    (tenant, user, server)
}

async fn active(world: &World, repos: &Repos, user: UserId) -> usize {
    repos.grants.of_user(user, world.now(), None, 1_000_000).await.unwrap().len()
}

async fn changes(repos: &Repos, mut after: u64) -> Vec<Change> {
    let mut all = Vec::new();
    loop {
        let page = repos.changes.since(after, 10_000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.sequence;
        all.extend(page);
    }
}

/// How often each of these grants ended: once, or the feed is wrong.
fn ended(changes: &[Change]) -> usize {
    let ended: Vec<_> = changes.iter().filter(|change| change.kind == ChangeKind::Grant).collect();
    let once: BTreeSet<_> = ended.iter().map(|change| change.subject).collect();
    assert_eq!(once.len(), ended.len(), "a grant ended twice");
    once.len()
}

/// Somebody who writes to another tenant all the time, until told to stop.
fn busy(repos: &Repos, member: Member, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (repos, stop) = (repos.clone(), stop.clone());
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let event = AuditEvent::new(&SystemClock, &OsEntropy, Actor::System, "member.changed", "busy");
            repos.tenants.put_member(&member, &event).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

/// Killed half-way, a removal has taken the tenant out of service; clean-up does the rest, in steps between which others write.
pub(super) async fn a_large_tenant_goes_in_steps<M: KeyValue + Maintenance>(
    world: &World,
    repos: &Repos,
    store: &M,
    fill: &impl AsyncFn(&M, &Bulk),
) {
    let (acme, alice, server) = tenant(world, repos, "acme").await;
    let (beta, bob, elsewhere) = tenant(world, repos, "beta").await;
    let sso = world.connection(ConnectionOwner::Tenant(acme.id), "sso", "acme.sso");
    repos.connections.create(&sso, &world.audit("a")).await.unwrap();
    let all = 50_000;
    fill(store, &Bulk { hours: 100_000, values: 3_000, ..Bulk::new(world, alice.id, &server, all) }).await;
    fill(store, &Bulk { values: 10, ..Bulk::new(world, bob.id, &elsewhere, 10) }).await;
    assert_eq!(active(world, repos, alice.id).await, all as usize);
    assert_eq!(active(world, repos, bob.id).await, 10);
    let head = repos.changes.head().await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let writer = busy(repos, Member { tenant: beta.id, user: bob.id, role: Role::Viewer }, &stop);
    let mut patience = Duration::from_millis(5);
    let left = loop {
        let cut = timeout(patience, repos.tenants.delete(acme.id, &world.audit("tenant.deleted"))).await;
        assert!(cut.is_err(), "it was to be cut off");
        let left = active(world, repos, alice.id).await;
        if left < all as usize {
            break left;
        }
        patience *= 2;
    };
    assert!(left > 0, "it was to be cut off in between");
    is_out_of_service(world, repos, &acme, &alice).await;
    store.purge(world.now(), 500).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();

    assert_eq!(active(world, repos, alice.id).await, 0);
    assert!(repos.usage.since(acme.id, server.id, Timestamp::default()).await.unwrap().is_empty());
    assert!(repos.servers.server(acme.id, server.id).await.unwrap().is_none());
    assert!(repos.tenants.members(acme.id, None, 10).await.unwrap().is_empty());
    assert!(repos.connections.connection(sso.id).await.unwrap().is_none());
    let at = |owner| Place { owner, collection: VAULT, key: "1" };
    assert!(store.get(at(Owner::Tenant(acme.id))).await.unwrap().is_none());
    let feed = changes(repos, head).await;
    assert_eq!(ended(&feed), all as usize);
    let between = || feed.split(|change| change.kind == ChangeKind::Grant).filter(|others| !others.is_empty()).count();
    assert!(between() > 10, "others waited for {all} grants: they wrote {} times in between", between());
    let removed = repos.audit.newest(None, None, 1_000_000).await.unwrap();
    assert_eq!(removed.iter().filter(|event| event.action == "tenant.deleted").count(), 1);
    assert!(!repos.tenants.delete(acme.id, &world.audit("tenant.deleted")).await.unwrap());

    // Nobody else lost anything.
    assert_eq!(active(world, repos, bob.id).await, 10);
    assert!(store.get(at(Owner::Tenant(beta.id))).await.unwrap().is_some());
    assert!(repos.tenants.view(beta.id).await.unwrap().is_some());
}

/// Nothing of a tenant is found, and it does not come back.
async fn is_out_of_service(world: &World, repos: &Repos, tenant: &Tenant, member: &User) {
    assert!(repos.tenants.tenant(tenant.id).await.unwrap().is_none());
    assert!(repos.tenants.by_slug(&tenant.slug).await.unwrap().is_none());
    assert!(repos.tenants.view(tenant.id).await.unwrap().is_none());
    assert!(repos.tenants.memberships(member.id, None, 10).await.unwrap().is_empty());
    assert!(repos.tenants.list(None, 100).await.unwrap().iter().all(|found| found.id != tenant.id));
    let renamed = Tenant { slug: "back-again".parse().unwrap(), ..tenant.clone() };
    let updated = repos.tenants.update(&renamed, &world.audit("a")).await;
    assert!(matches!(updated, Err(StorageError::Missing(_))), "{updated:?}");
    let again = repos.tenants.create(&Tenant { id: world.id(), ..tenant.clone() }, &[], &world.audit("a")).await;
    assert!(matches!(again, Err(StorageError::Taken(_))), "{again:?}");
}

/// As many grants as fit into one transaction, and more than fit into two.
pub(super) async fn every_grant_ends_whatever_they_rest_on<M: KeyValue + Maintenance>(
    world: &World,
    repos: &Repos,
    store: &M,
    fill: &impl AsyncFn(&M, &Bulk),
) {
    for grants in [AT_ONCE, 2 * AT_ONCE + 1] {
        for kind in ["member", "user", "server", "connection", "client", "client-in"] {
            let name = format!("{kind}-{grants}");
            let (tenant, user, server) = tenant(world, repos, &name).await;
            let connection = world.connection(ConnectionOwner::Platform, &name, &user.id.to_string());
            repos.connections.create(&connection, &world.audit("a")).await.unwrap();
            repos.clients.create(&world.client(&name, None), &world.audit("a")).await.unwrap();
            let method = SignInMethod::Connection(connection.id).to_string();
            let bulk = Bulk { method, client: name.clone(), ..Bulk::new(world, user.id, &server, grants) };
            fill(store, &bulk).await;
            let (head, audit) = (repos.changes.head().await.unwrap(), world.audit("a"));
            let removed = match kind {
                "member" => repos.tenants.remove_member(tenant.id, user.id, &audit).await,
                "user" => repos.users.delete(user.id, &audit).await,
                "server" => repos.servers.delete(tenant.id, server.id, &audit).await,
                "connection" => repos.connections.delete(connection.id, &audit).await,
                "client" => repos.clients.set_blocked(&name, Some(world.now()), &audit).await,
                _ => repos.clients.block_in(tenant.id, &name, &audit).await,
            };
            assert!(removed.unwrap(), "{kind}");
            assert_eq!(active(world, repos, user.id).await, 0, "{kind}");
            assert_eq!(ended(&changes(repos, head).await), grants as usize, "{kind}");
        }
    }
}
