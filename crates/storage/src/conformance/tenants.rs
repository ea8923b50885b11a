//! Tenants, their slugs and members.

use model::{Role, TenantSlug};

use super::world::{HOUR, World};
use crate::{
    ChangeKind, StorageError,
    repo::{ConnectionOwner, GrantState, Member, Repos, Tenant, TenantState},
};

fn slug(text: &str) -> TenantSlug {
    text.parse().unwrap()
}

pub(super) async fn slugs_are_never_given_again(world: &World, repos: Repos) {
    let acme = world.tenant("acme");
    repos.tenants.create(&acme, &[], &world.audit("a")).await.unwrap();
    let renamed = Tenant { slug: slug("acme-corp"), ..acme.clone() };
    repos.tenants.update(&renamed, &world.audit("a")).await.unwrap();
    for name in ["acme", "acme-corp"] {
        assert_eq!(repos.tenants.by_slug(&slug(name)).await.unwrap(), Some(renamed.clone()), "{name}");
    }

    let (other, head) = (world.tenant("other"), repos.changes.head().await.unwrap());
    for taken in ["acme", "acme-corp"] {
        let created =
            repos.tenants.create(&Tenant { slug: slug(taken), ..other.clone() }, &[], &world.audit("a")).await;
        assert!(matches!(created, Err(StorageError::Taken(_))), "{created:?}");
    }
    assert!(repos.tenants.tenant(other.id).await.unwrap().is_none());
    assert_eq!(repos.changes.head().await.unwrap(), head);
    repos.tenants.create(&other, &[], &world.audit("a")).await.unwrap();
    let stolen = Tenant { slug: slug("acme"), name: "Stolen".parse().unwrap(), ..other.clone() };
    let updated = repos.tenants.update(&stolen, &world.audit("a")).await;
    assert!(matches!(updated, Err(StorageError::Taken(_))), "{updated:?}");
    assert_eq!(repos.tenants.tenant(other.id).await.unwrap(), Some(other.clone()));

    // An alias may become the name again, of the same tenant.
    repos.tenants.update(&acme, &world.audit("a")).await.unwrap();
    assert_eq!(repos.tenants.by_slug(&slug("acme-corp")).await.unwrap(), Some(acme.clone()));
    let view = repos.tenants.view(acme.id).await.unwrap().unwrap();
    assert_eq!(view.slugs, [slug("acme"), slug("acme-corp")]);
    for given in ["acme", "acme-corp", "nobodys"] {
        assert!(!repos.tenants.is_tombstone(&slug(given)).await.unwrap(), "{given}");
    }

    assert!(repos.tenants.delete(acme.id, &world.audit("a")).await.unwrap());
    for tombstone in ["acme", "acme-corp"] {
        assert!(repos.tenants.by_slug(&slug(tombstone)).await.unwrap().is_none());
        assert!(repos.tenants.is_tombstone(&slug(tombstone)).await.unwrap());
        let created = repos.tenants.create(&world.tenant(tombstone), &[], &world.audit("a")).await;
        assert!(matches!(created, Err(StorageError::Taken(_))), "{created:?}");
    }
}

pub(super) async fn show_what_a_request_needs(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let bob = world.user("bob");
    repos.users.create(&bob, None, &[], &world.audit("a")).await.unwrap();
    let member = Member { tenant: server.tenant, user: bob.id, role: Role::Viewer };
    repos.tenants.put_member(&member, &world.audit("a")).await.unwrap();
    repos.tenants.put_member(&Member { role: Role::Developer, ..member }, &world.audit("a")).await.unwrap();

    let view = repos.tenants.view(server.tenant).await.unwrap().unwrap();
    assert_eq!(view.members, [(alice.id, Role::Owner), (bob.id, Role::Developer)]);
    assert_eq!(view.servers.len(), 1);
    let live = &view.servers[0];
    assert_eq!((live.id, live.tenant, Some(live.revision)), (server.id, server.tenant, server.live));
    assert_eq!(live.slugs, std::slice::from_ref(&server.slug));

    let beta = Tenant { created_at: world.now() + HOUR, ..world.tenant("a-beta") };
    let owner = Member { tenant: beta.id, user: bob.id, role: Role::Owner };
    repos.tenants.create(&beta, &[owner], &world.audit("a")).await.unwrap();
    let tenants = repos.tenants.memberships(bob.id, None, 100).await.unwrap();
    let names: Vec<_> = tenants.iter().map(|found| (found.tenant.slug.as_str(), found.role)).collect();
    assert_eq!(names, [("a-beta", Role::Owner), ("acme", Role::Developer)]);
    assert_eq!(repos.tenants.list(Some(server.tenant), 10).await.unwrap(), std::slice::from_ref(&beta));

    repos.tenants.update(&Tenant { state: TenantState::Suspended, ..beta.clone() }, &world.audit("a")).await.unwrap();
    assert!(repos.tenants.view(beta.id).await.unwrap().is_none());
    assert!(repos.tenants.view(world.id()).await.unwrap().is_none());
}

pub(super) async fn removing_a_member_revokes(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let beta = world.tenant("beta");
    let visitor = Member { tenant: beta.id, user: alice.id, role: Role::Member };
    repos.tenants.create(&beta, &[visitor], &world.audit("a")).await.unwrap();
    let (elsewhere, revision) = world.server(&beta, "echo");
    repos.servers.create(&elsewhere, &revision, &world.audit("a")).await.unwrap();
    let (grant, _) = world.active(&repos, &alice, &server).await;
    let (kept, _) = world.active(&repos, &alice, &elsewhere).await;
    let pending = world.grant(alice.id, &server);
    let code = world.code(&pending);
    repos.grants.authorize(&pending, &code, &world.audit("a")).await.unwrap();

    let head = repos.changes.head().await.unwrap();
    let audit = world.audit("member.removed");
    assert!(repos.tenants.remove_member(server.tenant, alice.id, &audit).await.unwrap());
    assert!(!repos.tenants.remove_member(server.tenant, alice.id, &world.audit("a")).await.unwrap());
    let revoked = GrantState::Revoked { at: world.now() };
    for ended in [grant.id, pending.id] {
        assert_eq!(repos.grants.grant(ended).await.unwrap().unwrap().state, revoked);
    }
    assert_eq!(repos.grants.grant(kept.id).await.unwrap().unwrap().state, GrantState::Active);
    let redeemed = repos.grants.redeem(&code.hash, None, world.now(), &world.audit("a")).await.unwrap();
    assert_eq!(redeemed, crate::repo::Redeemed::No);

    let changes = repos.changes.since(head, 100).await.unwrap();
    let of_kind = |kind| changes.iter().filter(move |change| change.kind == kind);
    let mut grants: Vec<_> = of_kind(ChangeKind::Grant).map(|change| change.subject).collect();
    grants.sort_unstable();
    assert_eq!(grants, [*grant.id.bytes(), *pending.id.bytes()]);
    assert_eq!(of_kind(ChangeKind::Tenant).map(|change| change.subject).collect::<Vec<_>>(), [*server.tenant.bytes()]);
    assert!(changes.iter().all(|change| change.tenant == Some(server.tenant)));
}

pub(super) async fn go_with_all_they_own(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let connection = world.connection(ConnectionOwner::Tenant(server.tenant), "sso", "acme.sso");
    repos.connections.create(&connection, &world.audit("a")).await.unwrap();
    let (grant, _) = world.active(&repos, &alice, &server).await;
    let beta = world.tenant("beta");
    repos.tenants.create(&beta, &[], &world.audit("a")).await.unwrap();

    assert!(repos.tenants.delete(server.tenant, &world.audit("a")).await.unwrap());
    assert!(!repos.tenants.delete(server.tenant, &world.audit("a")).await.unwrap());
    assert!(repos.tenants.tenant(server.tenant).await.unwrap().is_none());
    assert!(repos.tenants.memberships(alice.id, None, 100).await.unwrap().is_empty());
    assert!(repos.servers.server(server.tenant, server.id).await.unwrap().is_none());
    assert!(repos.servers.revision(server.tenant, server.live.unwrap()).await.unwrap().is_none());
    assert!(repos.connections.by_callback("acme.sso").await.unwrap().is_none());
    assert_eq!(
        repos.grants.revoked_since(world.now(), None, 100).await.unwrap(),
        [super::grants::revoked(&grant, world.now())]
    );
    assert!(repos.users.user(alice.id).await.unwrap().is_some());
    assert!(repos.tenants.view(beta.id).await.unwrap().is_some());
}
