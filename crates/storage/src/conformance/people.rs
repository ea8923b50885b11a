//! People, their accounts and identities, and set-up.

use model::{Role, UserId};

use super::{
    CALLERS,
    world::{World, logged, race},
};
use crate::{
    StorageError,
    repo::{ConnectionOwner, GrantState, Identity, Repos, User, UserState},
};

fn identity(world: &World, user: &User, subject: &str) -> Identity {
    Identity {
        connection: world.id(),
        subject: subject.to_owned(),
        user: user.id,
        email: Some("a@example.com".to_owned()),
        email_verified: true,
    }
}

pub(super) async fn come_back_as_they_were(world: &World, repos: Repos) {
    let (alice, nobody) = (world.user("alice"), User { handle: None, email: None, ..world.user("nobody") });
    let account = World::account(&alice, "alice@example.com");
    repos.users.create(&alice, Some(&account), &[], &world.audit("a")).await.unwrap();
    repos.users.create(&nobody, None, &[], &world.audit("a")).await.unwrap();
    assert_eq!(repos.users.user(alice.id).await.unwrap(), Some(alice.clone()));
    assert_eq!(repos.users.user(nobody.id).await.unwrap(), Some(nobody.clone()));
    assert_eq!(repos.users.by_handle(alice.handle.as_ref().unwrap()).await.unwrap(), Some(alice.clone()));
    let found = repos.users.local_account("alice@example.com").await.unwrap().unwrap();
    assert_eq!((found.user, found.password.expose()), (alice.id, account.password.expose()));
    assert!(repos.users.local_account("ALICE@example.com").await.unwrap().is_none());
    assert!(repos.users.local_account_of(nobody.id).await.unwrap().is_none());

    let changed = User { name: "Alice".parse().unwrap(), operator: true, state: UserState::Blocked, ..alice.clone() };
    repos.users.update(&changed, &world.audit("a")).await.unwrap();
    assert_eq!(repos.users.user(alice.id).await.unwrap(), Some(User { session_epoch: 1, ..changed }));
    let moved = World::account(&alice, "new@example.com");
    repos.users.set_local_account(&moved, &world.audit("a")).await.unwrap();
    assert!(repos.users.local_account("alice@example.com").await.unwrap().is_none());
    let found = repos.users.local_account_of(alice.id).await.unwrap().unwrap();
    assert_eq!(found.password.expose(), moved.password.expose());
    pages_in_order(world, &repos).await;
    let stranger = world.user("stranger");
    let missing = repos.users.update(&stranger, &world.audit("a")).await;
    assert!(matches!(missing, Err(StorageError::Missing(_))), "{missing:?}");
}

async fn pages_in_order(world: &World, repos: &Repos) {
    for handle in ["bb", "cc", "dd"] {
        repos.users.create(&world.user(handle), None, &[], &world.audit("a")).await.unwrap();
    }
    let (mut seen, mut after): (Vec<UserId>, _) = (Vec::new(), None);
    loop {
        let page = repos.users.list(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|user| user.id));
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
}

pub(super) async fn taken_leaves_nothing_written(world: &World, repos: Repos) {
    let github = world.connection(ConnectionOwner::Platform, "github", "github");
    repos.connections.create(&github, &world.audit("a")).await.unwrap();
    let alice = world.user("alice");
    let known = Identity { connection: github.id, ..identity(world, &alice, "1") };
    let account = World::account(&alice, "alice@example.com");
    repos.users.create(&alice, Some(&account), std::slice::from_ref(&known), &world.audit("a")).await.unwrap();

    let (bob, head) = (world.user("bob"), repos.changes.head().await.unwrap());
    let same_handle = User { id: world.id(), ..alice.clone() };
    let fresh = Identity { subject: "2".into(), user: bob.id, ..known.clone() };
    let stolen = Identity { user: bob.id, ..known.clone() };
    let (mine, taken) = (World::account(&bob, "bob@example.com"), World::account(&bob, "alice@example.com"));
    for (user, account, identities) in [
        (&same_handle, None, vec![]),
        (&bob, Some(&taken), vec![fresh.clone()]),
        (&bob, Some(&mine), vec![fresh.clone(), stolen]),
    ] {
        let audit = world.audit("refused");
        let created = repos.users.create(user, account, &identities, &audit).await;
        assert!(matches!(created, Err(StorageError::Taken(_))), "{created:?}");
        assert!(!logged(&repos, None, audit.id).await);
    }
    assert!(repos.users.user(bob.id).await.unwrap().is_none());
    assert!(repos.users.local_account("bob@example.com").await.unwrap().is_none());
    assert!(repos.users.identity(github.id, "2").await.unwrap().is_none());
    assert_eq!(repos.users.identity(github.id, "1").await.unwrap(), Some(known));
    assert_eq!(repos.changes.head().await.unwrap(), head);

    repos.users.create(&bob, Some(&mine), std::slice::from_ref(&fresh), &world.audit("a")).await.unwrap();
    assert_eq!(repos.users.identities(bob.id).await.unwrap(), [fresh]);
}

pub(super) async fn set_up_once(world: &World, repos: Repos) {
    assert!(!repos.users.setup_closed().await.unwrap() && !repos.users.any().await.unwrap());
    let people: Vec<_> = (0..CALLERS).map(|at| world.user(&format!("user-{at}"))).collect();
    let done = race(CALLERS, |at| {
        let (users, user, audit) = (repos.users.clone(), people[at].clone(), world.audit("setup.completed"));
        async move {
            let account = World::account(&user, &format!("{at}@example.com"));
            users.complete_setup(&user, &account, &audit).await.unwrap().then_some(user)
        }
    })
    .await;
    let winners: Vec<_> = done.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let everybody = repos.users.list(None, 100).await.unwrap();
    assert_eq!(everybody, [User { operator: true, ..winners[0].clone() }]);
    assert!(repos.users.setup_closed().await.unwrap());

    assert!(repos.users.delete(winners[0].id, &world.audit("user.deleted")).await.unwrap());
    assert!(!repos.users.any().await.unwrap());
    assert!(repos.users.setup_closed().await.unwrap(), "set-up stays closed when nobody is left");
    let (late, audit) = (world.user("late"), world.audit("setup.completed"));
    assert!(!repos.users.complete_setup(&late, &World::account(&late, "late@x.y"), &audit).await.unwrap());
}

pub(super) async fn set_up_is_closed_by_anybody(world: &World, repos: Repos) {
    repos.users.create(&world.user("alice"), None, &[], &world.audit("a")).await.unwrap();
    assert!(repos.users.setup_closed().await.unwrap());
    let (late, audit) = (world.user("late"), world.audit("setup.completed"));
    assert!(!repos.users.complete_setup(&late, &World::account(&late, "late@x.y"), &audit).await.unwrap());
    assert!(repos.users.user(late.id).await.unwrap().is_none());
}

pub(super) async fn leave_nothing_behind(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let github = world.connection(ConnectionOwner::Platform, "github", "github");
    repos.connections.create(&github, &world.audit("a")).await.unwrap();
    let known = Identity { connection: github.id, ..identity(world, &alice, "1") };
    repos.users.add_identity(&known, &world.audit("a")).await.unwrap();
    repos.users.set_local_account(&World::account(&alice, "a@x.y"), &world.audit("a")).await.unwrap();
    let (grant, _) = world.active(&repos, &alice, &server).await;

    let audit = world.audit("user.deleted");
    assert!(repos.users.delete(alice.id, &audit).await.unwrap());
    assert!(logged(&repos, None, audit.id).await);
    assert!(repos.users.user(alice.id).await.unwrap().is_none());
    assert!(repos.users.identity(github.id, "1").await.unwrap().is_none());
    assert!(repos.users.local_account("a@x.y").await.unwrap().is_none());
    assert!(repos.tenants.members(server.tenant, None, 100).await.unwrap().is_empty());
    let ended = repos.grants.grant(grant.id).await.unwrap().unwrap().state;
    assert_eq!(ended, GrantState::Revoked { at: world.now() });
    assert!(!repos.users.delete(alice.id, &world.audit("user.deleted")).await.unwrap());

    let member = crate::repo::Member { tenant: server.tenant, user: alice.id, role: Role::Member };
    let missing = repos.tenants.put_member(&member, &world.audit("a")).await;
    assert!(matches!(missing, Err(StorageError::Missing(_))), "{missing:?}");
}
