//! OAuth clients.

use super::world::{HOUR, World};
use crate::{
    StorageError,
    repo::{Client, ClientOrigin, Repos},
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
