//! OAuth clients.

use super::world::{HOUR, World, logged, race};
use crate::{
    StorageError,
    repo::{
        AuthMethod, Client, ClientKeys, ClientOrigin, ClientPolicies, ClientPolicy, Grant, GrantState, PolicyMode,
        RegistrationCap, Repos,
    },
};

pub(super) async fn expire(world: &World, repos: Repos) {
    let start = world.now();
    let dynamic = world.client("c_dynamic", Some(start + HOUR));
    let registered = Client { origin: ClientOrigin::Registered, ..world.client("c_registered", None) };
    for client in [&dynamic, &registered] {
        repos.clients.create(client, &world.audit("a")).await.unwrap();
        assert_eq!(repos.clients.client(&client.client_id, start).await.unwrap().as_ref(), Some(client));
    }
    assert_eq!(repos.clients.count_dynamic(start).await.unwrap(), 1);
    assert_eq!(repos.clients.purge(start, 10).await.unwrap(), 0);

    let end = start + HOUR;
    assert!(repos.clients.client("c_dynamic", end).await.unwrap().is_none());
    assert_eq!(repos.clients.count_dynamic(end).await.unwrap(), 0);
    let dead = repos.clients.touch("c_dynamic", end, Some(end + HOUR)).await;
    assert!(matches!(dead, Err(StorageError::Missing(_))), "an expired client does not come back: {dead:?}");

    repos.clients.touch("c_dynamic", start, Some(end + HOUR)).await.unwrap();
    let touched = repos.clients.client("c_dynamic", end).await.unwrap().unwrap();
    assert_eq!((touched.last_used_at, touched.expires_at), (Some(start), Some(end + HOUR)));
    assert_eq!(repos.clients.purge(end + HOUR, 10).await.unwrap(), 1);
    assert!(repos.clients.client("c_dynamic", start).await.unwrap().is_none());
    assert!(repos.clients.client("c_registered", end + HOUR).await.unwrap().is_some());
}

pub(super) async fn hold_their_name(world: &World, repos: Repos) {
    let first = world.client("c_1", None);
    repos.clients.create(&first, &world.audit("a")).await.unwrap();
    let created = repos.clients.create(&world.client("c_1", None), &world.audit("a")).await;
    assert!(matches!(created, Err(StorageError::Taken(_))), "{created:?}");
    assert_eq!(repos.clients.client("c_1", world.now()).await.unwrap(), Some(first));
}

pub(super) async fn never_outgrow_the_cap(world: &World, repos: Repos) {
    let (start, expiry) = (world.now(), world.now() + 24 * HOUR);
    let cap = |before| RegistrationCap { alive: 3, evictable_before: before };
    let fresh: Vec<_> = (0..16).map(|n| world.client(&format!("c_{n}"), Some(expiry))).collect();
    let registered = race(fresh.len(), |at| {
        let (clients, client, audit) = (repos.clients.clone(), fresh[at].clone(), world.audit("a"));
        async move { clients.register(&client, cap(start), &audit).await.unwrap().then_some(client) }
    })
    .await;
    let alive: Vec<_> = registered.into_iter().flatten().collect();
    assert_eq!(alive.len(), 3);
    assert_eq!(repos.clients.count_dynamic(start).await.unwrap(), 3);

    // An hour later the oldest that was never used makes room, and one that was used does not.
    for used in &alive[..2] {
        repos.clients.touch(&used.client_id, start, Some(expiry)).await.unwrap();
    }
    let late = Client { created_at: start + HOUR, ..world.client("c_late", Some(expiry)) };
    assert!(repos.clients.register(&late, cap(start + HOUR), &world.audit("a")).await.unwrap());
    assert_eq!(repos.clients.client(&alive[2].client_id, start).await.unwrap(), None);
    let later = Client { created_at: start + HOUR, ..world.client("c_later", Some(expiry)) };
    assert!(!repos.clients.register(&later, cap(start + HOUR), &world.audit("a")).await.unwrap());
    let refused = world.audit("b");
    assert!(!repos.clients.register(&later, RegistrationCap { alive: 0, ..cap(expiry) }, &refused).await.unwrap());
    assert!(!logged(&repos, None, refused.id).await);
    assert_eq!(repos.clients.count_dynamic(start).await.unwrap(), 3);
}

pub(super) async fn are_replaced_by_one(world: &World, repos: Repos) {
    let first = world.client("c_1", None);
    repos.clients.create(&first, &world.audit("a")).await.unwrap();
    let token = first.registration_hash.unwrap();
    let next: Vec<_> = (0..8)
        .map(|n| Client {
            name: Some(format!("Name {n}")),
            keys: ClientKeys::At("https://client.example/jwks".to_owned()),
            auth_method: AuthMethod::PrivateKeyJwt,
            secret_hash: None,
            registration_hash: Some(world.hash()),
            ..first.clone()
        })
        .collect();
    let replaced = race(next.len(), |at| {
        let (clients, client, audit) = (repos.clients.clone(), next[at].clone(), world.audit("a"));
        async move { (at, clients.replace(&client, Some(&token), &audit).await.unwrap()) }
    })
    .await;
    let winners: Vec<_> = replaced.into_iter().filter(|(_, won)| *won).map(|(at, _)| at).collect();
    let [winner] = winners[..] else { panic!("{winners:?} won") };
    assert_eq!(repos.clients.client("c_1", world.now()).await.unwrap().as_ref(), Some(&next[winner]));
    assert!(!repos.clients.replace(&first, None, &world.audit("a")).await.unwrap());
}

pub(super) async fn end_with_their_grants(world: &World, repos: Repos) {
    let (alice, server) = world.acme(&repos).await;
    let tenant = server.tenant;
    for client_id in ["c_1", "c_2"] {
        repos.clients.create(&world.client(client_id, None), &world.audit("a")).await.unwrap();
    }
    let revoked = async |grant: &Grant| {
        matches!(repos.grants.grant(grant.id).await.unwrap().unwrap().state, GrantState::Revoked { .. })
    };
    let of_other = Grant { client_id: "c_2".to_owned(), ..world.grant(alice.id, &server) };
    repos.grants.authorize(&of_other, &world.code(&of_other), &world.audit("a")).await.unwrap();

    // A block of the tenant's.
    let (grant, _) = world.active(&repos, &alice, &server).await;
    let used = repos.clients.used_in(tenant, world.now(), None, 10).await.unwrap();
    assert_eq!(used.iter().map(|used| (&*used.client_id, used.grants)).collect::<Vec<_>>(), [("c_1", 1)]);
    assert_eq!(used[0].name.as_deref(), Some("A client"));
    let head = repos.changes.head().await.unwrap();
    assert!(repos.clients.block_in(tenant, "c_1", &world.audit("a")).await.unwrap());
    assert!(!repos.clients.block_in(tenant, "c_1", &world.audit("a")).await.unwrap());
    assert!(revoked(&grant).await && !revoked(&of_other).await);
    assert_eq!(repos.changes.head().await.unwrap(), head + 1, "the grant's end is in the feed");
    assert!(repos.clients.is_blocked_in(tenant, "c_1").await.unwrap());
    assert!(!repos.clients.is_blocked_in(tenant, "c_2").await.unwrap());
    assert!(!repos.clients.is_blocked_in(world.id(), "c_1").await.unwrap());
    let used = repos.clients.used_in(tenant, world.now(), None, 10).await.unwrap();
    assert_eq!((used.len(), used[0].grants, used[0].blocked_at), (1, 0, Some(world.now())));
    assert!(repos.clients.used_in(tenant, world.now(), Some("c_1"), 10).await.unwrap().is_empty());
    assert!(repos.clients.unblock_in(tenant, "c_1", &world.audit("a")).await.unwrap());
    assert!(!repos.clients.unblock_in(tenant, "c_1", &world.audit("a")).await.unwrap());

    // A block of the client itself.
    let (grant, _) = world.active(&repos, &alice, &server).await;
    assert!(repos.clients.set_blocked("c_1", Some(world.now()), &world.audit("a")).await.unwrap());
    assert!(revoked(&grant).await && !revoked(&of_other).await);
    let blocked = repos.clients.client("c_1", world.now()).await.unwrap().unwrap();
    assert_eq!(blocked.blocked_at, Some(world.now()));
    assert!(repos.clients.set_blocked("c_1", None, &world.audit("a")).await.unwrap());
    assert!(!repos.clients.set_blocked("c_9", None, &world.audit("a")).await.unwrap());

    // Its end.
    let (grant, _) = world.active(&repos, &alice, &server).await;
    assert!(repos.clients.delete("c_1", &world.audit("a")).await.unwrap());
    assert!(!repos.clients.delete("c_1", &world.audit("a")).await.unwrap());
    assert!(revoked(&grant).await && !revoked(&of_other).await);
    assert_eq!(repos.clients.client("c_1", world.now()).await.unwrap(), None);
}

pub(super) async fn of_a_tenant_are_its_own(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let (acme, other) = (server.tenant, world.tenant("other"));
    repos.tenants.create(&other, &[], &world.audit("a")).await.unwrap();
    let of = |tenant, client_id: &str| Client {
        origin: ClientOrigin::Registered,
        tenant: Some(tenant),
        ..world.client(client_id, None)
    };
    let own = [of(acme, "c_a"), of(acme, "c_b"), of(acme, "c_c")];
    for client in own.iter().chain([&of(other.id, "c_d"), &world.client("c_e", None)]) {
        repos.clients.create(client, &world.audit("a")).await.unwrap();
    }
    assert_eq!(repos.clients.of_tenant(acme, None, 2).await.unwrap(), own[..2]);
    assert_eq!(repos.clients.of_tenant(acme, Some("c_b"), 2).await.unwrap(), own[2..]);

    assert_eq!(repos.clients.policies(acme).await.unwrap(), ClientPolicies::default());
    let strict = ClientPolicies {
        dynamic: ClientPolicy { mode: PolicyMode::Off, allow: vec![] },
        documents: ClientPolicy { mode: PolicyMode::Allowlist, allow: vec!["claude.ai".to_owned()] },
    };
    for policies in [ClientPolicies::default(), strict.clone()] {
        repos.clients.set_policies(acme, &policies, &world.audit("a").in_tenant(acme)).await.unwrap();
    }
    assert_eq!(repos.clients.policies(acme).await.unwrap(), strict);
    assert_eq!(repos.clients.policies(other.id).await.unwrap(), ClientPolicies::default());
    let nobody = repos.clients.set_policies(world.id(), &strict, &world.audit("a")).await;
    assert!(matches!(nobody, Err(StorageError::Missing(_))), "{nobody:?}");

    repos.tenants.delete(acme, &world.audit("a")).await.unwrap();
    assert!(repos.clients.of_tenant(acme, None, 2).await.unwrap().is_empty());
    assert_eq!(repos.clients.policies(acme).await.unwrap(), ClientPolicies::default());
}
