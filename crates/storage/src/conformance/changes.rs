//! The change feed and the audit log.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use model::Role;

use super::world::{World, race};
use crate::{
    Bus, Change, ChangeKind, Owner, StorageError,
    repo::{ConnectionOwner, Member, Repos, Server, ServerState, Tenant, TenantState, User, UserState},
};

/// The feed after `head`: kind, tenant and subject of each change.
async fn after(repos: &Repos, head: &mut u64) -> BTreeSet<(String, [u8; 16])> {
    let changes = repos.changes.since(*head, 1000).await.unwrap();
    assert!(changes.is_sorted_by_key(|change| change.sequence));
    *head = repos.changes.head().await.unwrap();
    assert_eq!(changes.last().map(|change| change.sequence), Some(*head));
    changes.iter().map(|change| (change.kind.as_str().to_owned(), change.subject)).collect()
}

pub(super) async fn whatever_matters_is_in_the_feed(world: &World, repos: Repos) {
    assert_eq!(repos.changes.head().await.unwrap(), 0);
    let mut head = 0;
    let (alice, server) = world.acme(&repos).await;
    let tenant = ("tenant".to_owned(), *server.tenant.bytes());
    let user = ("user".to_owned(), *alice.id.bytes());
    assert_eq!(after(&repos, &mut head).await, [tenant.clone(), user.clone()].into());

    repos.users.update(&User { state: UserState::Blocked, ..alice.clone() }, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [user.clone()].into());
    repos.servers.update(&Server { state: ServerState::Disabled, ..server.clone() }, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [tenant.clone()].into());
    let acme = repos.tenants.tenant(server.tenant).await.unwrap().unwrap();
    repos.tenants.update(&Tenant { state: TenantState::Suspended, ..acme }, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [tenant.clone()].into());
    let member = Member { tenant: server.tenant, user: alice.id, role: Role::Viewer };
    repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [tenant.clone()].into());

    let github = world.connection(ConnectionOwner::Platform, "github", "github");
    let connection = ("connection".to_owned(), *github.id.bytes());
    repos.connections.create(&github, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [connection.clone()].into());
    repos.connections.update(&github, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [connection.clone()].into());
    repos.connections.delete(github.id, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [connection].into());

    let (one, _) = world.active(&repos, &alice, &server).await;
    let (two, _) = world.active(&repos, &alice, &server).await;
    assert_eq!(repos.changes.head().await.unwrap(), head, "a new grant takes nothing away");
    repos.grants.revoke(one.id, world.now(), &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [("grant".to_owned(), *one.id.bytes())].into());
    repos.users.delete(alice.id, &world.audit("a")).await.unwrap();
    let grant = ("grant".to_owned(), *two.id.bytes());
    let keys = |subject| ("data-keys".to_owned(), subject);
    assert_eq!(after(&repos, &mut head).await, [tenant.clone(), user, grant, keys(*alice.id.bytes())].into());
    repos.servers.delete(server.tenant, server.id, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [tenant.clone()].into());
    repos.tenants.delete(server.tenant, &world.audit("a")).await.unwrap();
    assert_eq!(after(&repos, &mut head).await, [tenant, keys(*server.tenant.bytes())].into());
}

pub(super) async fn changed_keys_name_their_owner(world: &World, repos: Repos) {
    let owners = [Owner::Platform, Owner::Tenant(world.id()), Owner::User(world.id())];
    let last = repos.changes.data_keys_changed(&owners).await.unwrap();
    assert_eq!(last, repos.changes.head().await.unwrap());
    let changes = repos.changes.since(0, 10).await.unwrap();
    assert!(changes.iter().all(|change| change.kind == ChangeKind::DataKeys));
    assert_eq!(changes.iter().map(Change::key_owner).collect::<Vec<_>>(), owners);
    assert_eq!(repos.changes.data_keys_changed(&[]).await.unwrap(), last, "nothing to say");
}

pub(super) async fn a_reader_misses_nothing(world: &World, repos: Repos) {
    const WRITERS: usize = 32;
    let people: Vec<_> = (0..WRITERS).map(|at| world.user(&format!("user-{at}"))).collect();
    let events: Vec<_> = (0..WRITERS).map(|_| world.audit("a")).collect();
    // The last task reads along while the others write, and never looks back.
    let people = Arc::new(people);
    let seen = race(WRITERS + 1, |at| {
        let (repos, people, event) = (repos.clone(), people.clone(), events.get(at).cloned());
        async move {
            let mut seen = Vec::new();
            if let Some(event) = event {
                repos.users.create(&people[at], None, &[], &event).await.unwrap();
                return seen;
            }
            let mut position = 0;
            while seen.len() < WRITERS {
                for change in repos.changes.since(position, 3).await.unwrap() {
                    assert!(change.sequence > position);
                    position = change.sequence;
                    seen.push(change.subject);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            seen
        }
    });
    let seen = tokio::time::timeout(Duration::from_secs(30), seen).await.expect("the reader stepped over a change");
    let seen: BTreeSet<_> = seen.into_iter().flatten().collect();
    assert_eq!(seen, people.iter().map(|user| *user.id.bytes()).collect());
}

pub(super) async fn a_hint_follows_the_commit(world: &World, repos: Repos, bus: &dyn Bus) {
    // A hint may be left over from before.
    let _ = tokio::time::timeout(Duration::from_millis(1), bus.hinted()).await;
    let alice = world.user("alice");
    repos.users.create(&alice, None, &[], &world.audit("a")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), bus.hinted()).await.expect("a hint comes");
    assert_eq!(repos.changes.since(0, 10).await.unwrap()[0].kind, ChangeKind::User);
}

pub(super) async fn what_fails_is_not_in_the_feed(world: &World, repos: Repos) {
    let alice = world.user("alice");
    repos.users.create(&alice, None, &[], &world.audit("a")).await.unwrap();
    let head = repos.changes.head().await.unwrap();
    let again = repos.users.create(&User { id: world.id(), ..alice }, None, &[], &world.audit("a")).await;
    assert!(matches!(again, Err(StorageError::Taken(_))));
    // The member is nobody: the tenant that was begun is not there either.
    let (acme, stranger) = (world.tenant("acme"), world.id());
    let member = Member { tenant: acme.id, user: stranger, role: Role::Owner };
    let created = repos.tenants.create(&acme, &[member], &world.audit("a")).await;
    assert!(matches!(created, Err(StorageError::Missing(_))), "{created:?}");
    assert!(repos.tenants.by_slug(&acme.slug).await.unwrap().is_none());
    assert_eq!(repos.changes.head().await.unwrap(), head);
    repos.tenants.create(&acme, &[], &world.audit("a")).await.unwrap();
    assert!(repos.changes.head().await.unwrap() > head);
}

pub(super) async fn the_log_is_apart_by_tenant(world: &World, repos: Repos) {
    let (acme, beta) = (world.id(), world.id());
    let mut events = Vec::new();
    for tenant in [Some(acme), None, Some(beta), Some(acme), None] {
        world.clock.advance(Duration::from_millis(5));
        let mut event = world.audit("sign-in.refused");
        event.tenant = tenant;
        repos.audit.append(&event).await.unwrap();
        events.push(event);
    }
    let [first, second, third, fourth, fifth] = events.try_into().unwrap();
    assert_eq!(repos.audit.newest(Some(acme), None, 10).await.unwrap(), [fourth.clone(), first]);
    assert_eq!(repos.audit.newest(Some(acme), None, 1).await.unwrap(), [fourth]);
    assert_eq!(repos.audit.newest(Some(beta), None, 10).await.unwrap(), [third]);
    assert_eq!(repos.audit.newest(None, None, 10).await.unwrap(), [fifth, second]);
}
