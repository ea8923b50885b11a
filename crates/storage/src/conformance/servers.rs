//! Servers, their slugs and revisions.

use model::ServerSlug;

use super::world::World;
use crate::{
    StorageError,
    repo::{GrantState, Repos, Server, ServerRevision, ServerState},
};

fn slug(text: &str) -> ServerSlug {
    text.parse().unwrap()
}

pub(super) async fn live_and_die(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let tenant = server.tenant;
    assert_eq!(repos.servers.server(tenant, server.id).await.unwrap(), Some(server.clone()));
    let first = repos.servers.revision(tenant, server.live.unwrap()).await.unwrap().unwrap();
    assert_eq!(first.offer, Some(serde_json::json!({ "tools": ["echo"] })));

    world.clock.advance(std::time::Duration::from_millis(5));
    let second = ServerRevision { id: world.id(), created_by: Some(alice.id), offer: None, ..first.clone() };
    repos.servers.add_revision(&second, &world.audit("a")).await.unwrap();
    assert_eq!(repos.servers.revisions(tenant, server.id, None, 100).await.unwrap(), [second.clone(), first]);
    let view = repos.tenants.view(tenant).await.unwrap().unwrap();
    assert_eq!(Some(view.servers[0].revision), server.live, "adding a revision changes nothing that is live");

    let moved = Server { live: Some(second.id), ..server.clone() };
    repos.servers.update(&moved, &world.audit("a")).await.unwrap();
    assert_eq!(repos.tenants.view(tenant).await.unwrap().unwrap().servers[0].revision, second.id);
    repos.servers.update(&Server { state: ServerState::Disabled, ..moved }, &world.audit("a")).await.unwrap();
    assert!(repos.tenants.view(tenant).await.unwrap().unwrap().servers.is_empty());

    let (grant, _) = world.active(&repos, &alice, &server).await;
    assert!(repos.servers.delete(tenant, server.id, &world.audit("a")).await.unwrap());
    assert!(!repos.servers.delete(tenant, server.id, &world.audit("a")).await.unwrap());
    assert!(repos.servers.revisions(tenant, server.id, None, 100).await.unwrap().is_empty());
    let ended = repos.grants.grant(grant.id).await.unwrap().unwrap().state;
    assert_eq!(ended, GrantState::Revoked { at: world.now() });
}

pub(super) async fn slugs_are_never_given_again(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let tenant = server.tenant;
    let renamed = Server { slug: slug("mirror"), ..server.clone() };
    repos.servers.update(&renamed, &world.audit("a")).await.unwrap();
    for name in ["echo", "mirror"] {
        assert_eq!(repos.servers.by_slug(tenant, &slug(name)).await.unwrap(), Some(renamed.clone()), "{name}");
    }
    let view = repos.tenants.view(tenant).await.unwrap().unwrap();
    assert_eq!(view.servers[0].slugs, [slug("mirror"), slug("echo")]);

    let acme = repos.tenants.tenant(tenant).await.unwrap().unwrap();
    let refused = async |name: &str| {
        let (server, revision) = world.server(&acme, name);
        let head = repos.changes.head().await.unwrap();
        let created = repos.servers.create(&server, &revision, &world.audit("a")).await;
        assert!(matches!(created, Err(StorageError::Taken(_))), "{name}: {created:?}");
        assert!(repos.servers.server(tenant, server.id).await.unwrap().is_none());
        assert!(repos.servers.revision(tenant, revision.id).await.unwrap().is_none());
        assert_eq!(repos.changes.head().await.unwrap(), head);
    };
    refused("echo").await;
    refused("mirror").await;
    assert!(!repos.servers.is_tombstone(tenant, &slug("echo")).await.unwrap());
    assert!(repos.servers.delete(tenant, server.id, &world.audit("a")).await.unwrap());
    refused("echo").await;
    refused("mirror").await;
    assert!(repos.servers.by_slug(tenant, &slug("echo")).await.unwrap().is_none());
    assert!(repos.servers.is_tombstone(tenant, &slug("echo")).await.unwrap());
    assert!(!repos.servers.is_tombstone(world.id(), &slug("echo")).await.unwrap(), "it is another tenant's");
}

pub(super) async fn a_draft_gives_its_slug_back(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let acme = repos.tenants.tenant(server.tenant).await.unwrap().unwrap();
    let draft = || {
        let (server, revision) = world.server(&acme, "sketch");
        (Server { state: ServerState::Draft, live: None, ..server }, revision)
    };
    let (first, revision) = draft();
    repos.servers.create(&first, &revision, &world.audit("a")).await.unwrap();
    assert!(repos.servers.delete(acme.id, first.id, &world.audit("a")).await.unwrap());
    let (second, revision) = draft();
    repos.servers.create(&second, &revision, &world.audit("a")).await.unwrap();
    assert_eq!(repos.servers.by_slug(acme.id, &slug("sketch")).await.unwrap(), Some(second));
}

pub(super) async fn do_not_cross_tenants(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let beta = world.tenant("beta");
    repos.tenants.create(&beta, &[], &world.audit("a")).await.unwrap();
    let (twin, revision) = world.server(&beta, "echo");
    repos.servers.create(&twin, &revision, &world.audit("a")).await.unwrap();

    assert_eq!(repos.servers.by_slug(beta.id, &slug("echo")).await.unwrap(), Some(twin.clone()));
    assert!(repos.servers.server(beta.id, server.id).await.unwrap().is_none());
    assert!(repos.servers.revision(beta.id, server.live.unwrap()).await.unwrap().is_none());
    assert!(repos.servers.revisions(beta.id, server.id, None, 100).await.unwrap().is_empty());
    assert_eq!(repos.servers.list(beta.id, None, 100).await.unwrap(), std::slice::from_ref(&twin));
    assert!(!repos.servers.delete(beta.id, server.id, &world.audit("a")).await.unwrap());
    let moved = repos.servers.update(&Server { tenant: beta.id, ..server.clone() }, &world.audit("a")).await;
    assert!(matches!(moved, Err(StorageError::Missing(_))), "{moved:?}");

    // The live revision is one of the server's own.
    let borrowed = repos.servers.update(&Server { live: server.live, ..twin.clone() }, &world.audit("a")).await;
    assert!(matches!(borrowed, Err(StorageError::Missing(_))), "{borrowed:?}");
    assert_eq!(repos.servers.server(beta.id, twin.id).await.unwrap(), Some(twin));
    assert_eq!(repos.servers.server(server.tenant, server.id).await.unwrap(), Some(server));
}
