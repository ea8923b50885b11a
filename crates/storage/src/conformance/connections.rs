//! Links to identity providers.

use model::Secret;

use super::world::World;
use crate::{
    StorageError,
    repo::{Connection, ConnectionKind, ConnectionOwner, Endpoints, Grant, GrantState, Identity, Repos, SignInMethod},
};

fn assert_same(found: &Connection, wanted: &Connection) {
    let secret = |connection: &Connection| connection.client_secret.as_ref().unwrap().expose().to_owned();
    assert_eq!(secret(found), secret(wanted));
    // Everything else, by what Debug shows.
    assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
}

pub(super) async fn come_back_as_they_were(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let ours = ConnectionOwner::Tenant(server.tenant);
    let github = world.connection(ConnectionOwner::Platform, "github", "github");
    let same_slug = world.connection(ours, "github", "acme.github");
    for connection in [&github, &same_slug] {
        repos.connections.create(connection, &world.audit("a")).await.unwrap();
        assert_same(&repos.connections.connection(connection.id).await.unwrap().unwrap(), connection);
        assert_same(&repos.connections.by_callback(&connection.callback).await.unwrap().unwrap(), connection);
    }
    let listed = repos.connections.list(ConnectionOwner::Platform).await.unwrap();
    assert_eq!(listed.iter().map(|found| found.id).collect::<Vec<_>>(), [github.id]);
    let listed = repos.connections.list(ours).await.unwrap();
    assert_eq!(listed.iter().map(|found| found.id).collect::<Vec<_>>(), [same_slug.id]);

    for taken in [
        world.connection(ConnectionOwner::Platform, "github", "github-2"),
        world.connection(ours, "github", "acme.github-2"),
        world.connection(ConnectionOwner::Platform, "gitlab", "acme.github"),
    ] {
        let created = repos.connections.create(&taken, &world.audit("a")).await;
        assert!(matches!(created, Err(StorageError::Taken(_))), "{created:?}");
        assert!(repos.connections.connection(taken.id).await.unwrap().is_none());
    }

    let changed = Connection {
        kind: ConnectionKind::Github,
        client_secret: Some(Secret::new("rotated".to_owned())),
        endpoints: Endpoints::default(),
        ..github.clone()
    };
    repos.connections.update(&changed, &world.audit("a")).await.unwrap();
    assert_same(&repos.connections.connection(github.id).await.unwrap().unwrap(), &changed);
    let moved = repos.connections.update(&Connection { owner: ours, ..github }, &world.audit("a")).await;
    assert!(matches!(moved, Err(StorageError::Missing(_))), "{moved:?}");
}

pub(super) async fn go_with_what_rests_on_them(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let github = world.connection(ConnectionOwner::Platform, "github", "github");
    repos.connections.create(&github, &world.audit("a")).await.unwrap();
    let identity = Identity {
        connection: github.id,
        subject: "42".to_owned(),
        user: alice.id,
        email: None,
        email_verified: false,
    };
    repos.users.add_identity(&identity, &world.audit("a")).await.unwrap();
    let again = repos.users.add_identity(&identity, &world.audit("a")).await;
    assert!(matches!(again, Err(StorageError::Taken(_))), "{again:?}");

    let (other, _) = world.active(&repos, &alice, &server).await;
    let through = Grant { method: SignInMethod::Connection(github.id), ..world.grant(alice.id, &server) };
    repos.grants.authorize(&through, &world.code(&through), &world.audit("a")).await.unwrap();

    assert!(repos.connections.delete(github.id, &world.audit("a")).await.unwrap());
    let ended = repos.grants.grant(through.id).await.unwrap().unwrap().state;
    assert!(matches!(ended, GrantState::Revoked { .. }), "{ended:?}");
    assert_eq!(repos.grants.grant(other.id).await.unwrap().unwrap().state, GrantState::Active);
    assert!(!repos.connections.delete(github.id, &world.audit("a")).await.unwrap());
    assert!(repos.users.identities(alice.id).await.unwrap().is_empty());
    assert!(repos.users.user(alice.id).await.unwrap().is_some());
    let orphan = repos.users.add_identity(&identity, &world.audit("a")).await;
    assert!(matches!(orphan, Err(StorageError::Missing(_))), "{orphan:?}");
}
