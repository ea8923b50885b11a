//! Counts that arrive in batches, some of them twice.

use std::time::Duration;

use model::{BatchId, Timestamp};

use super::{
    CALLERS,
    world::{HOUR, World, race},
};
use crate::repo::{BATCH_MEMORY, Repos, Server, USAGE_LIFE, UsageBatch, UsageCount, hour_of};

fn count(server: &Server, hour: Timestamp, calls: u64, errors: u64) -> UsageCount {
    UsageCount { tenant: server.tenant, server: server.id, hour, calls, errors }
}

fn batch(world: &World, counts: &[UsageCount]) -> UsageBatch {
    UsageBatch { id: world.id(), counts: counts.to_vec() }
}

async fn all(repos: &Repos, server: &Server) -> Vec<UsageCount> {
    repos.usage.since(server.tenant, server.id, Timestamp::default()).await.unwrap()
}

pub(super) async fn adds_up_once(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    assert!(all(&repos, &server).await.is_empty());
    let hour = hour_of(world.now());
    assert!(hour <= world.now() && world.now().since(hour) < HOUR);
    let (before, now) = (hour - HOUR, world.now());
    // One server and hour twice in a batch.
    let first = batch(world, &[count(&server, hour, 3, 1), count(&server, before, 7, 0), count(&server, hour, 2, 0)]);
    assert!(repos.usage.add(&first, now).await.unwrap());
    let added = [count(&server, before, 7, 0), count(&server, hour, 5, 1)];
    assert_eq!(all(&repos, &server).await, added);
    assert!(!repos.usage.add(&first, now).await.unwrap(), "it was added before");
    assert_eq!(all(&repos, &server).await, added);
    let second = batch(world, &[count(&server, hour, 10, 10)]);
    assert!(repos.usage.add(&second, now).await.unwrap());
    assert!(repos.usage.add(&batch(world, &[]), now).await.unwrap());
    let added = [count(&server, before, 7, 0), count(&server, hour, 15, 11)];
    assert_eq!(all(&repos, &server).await, added);
    assert_eq!(repos.usage.since(server.tenant, server.id, hour).await.unwrap(), added[1..]);
    assert!(repos.usage.since(server.tenant, server.id, hour + HOUR).await.unwrap().is_empty());
    // What no gateway can have counted does not make it impossible to read the rest.
    let absurd = batch(world, &[count(&server, before, u64::MAX, u64::MAX), count(&server, before, u64::MAX, 0)]);
    assert!(repos.usage.add(&absurd, now).await.unwrap());
    assert_eq!(all(&repos, &server).await.len(), 2);
}

pub(super) async fn of_one_batch_is_added_by_one(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let (hour, now) = (hour_of(world.now()), world.now());
    let same = batch(world, &[count(&server, hour, 1, 0)]);
    let batches: Vec<_> = (0..CALLERS)
        .map(|caller| if caller % 2 == 0 { same.clone() } else { batch(world, &[count(&server, hour, 1, 0)]) })
        .collect();
    let added = race(CALLERS, |caller| {
        let (repos, batch) = (repos.clone(), batches[caller].clone());
        async move { repos.usage.add(&batch, now).await.unwrap() }
    });
    let added = added.await.into_iter().filter(|added| *added).count();
    assert_eq!(added, CALLERS / 2 + 1);
    assert_eq!(all(&repos, &server).await, [count(&server, hour, added as u64, 0)]);
}

pub(super) async fn does_not_cross_tenants(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let (hour, now) = (hour_of(world.now()), world.now());
    let other = world.tenant("other");
    repos.tenants.create(&other, &[], &world.audit("a")).await.unwrap();
    let (theirs, revision) = world.server(&other, "theirs");
    repos.servers.create(&theirs, &revision, &world.audit("a")).await.unwrap();
    let absent = Server { id: world.id(), ..server.clone() };
    let swapped = Server { tenant: other.id, ..server.clone() };
    let counts = [&server, &absent, &swapped].map(|server| count(server, hour, 1, 0));
    assert!(repos.usage.add(&batch(world, &counts), now).await.unwrap());
    assert_eq!(all(&repos, &server).await, [count(&server, hour, 1, 0)]);
    for none in [&theirs, &absent, &swapped] {
        assert!(all(&repos, none).await.is_empty());
    }
}

pub(super) async fn goes_with_its_server_and_with_time(world: &World, repos: Repos) {
    let (_, server) = world.acme(&repos).await;
    let (hour, now) = (hour_of(world.now()), world.now());
    let first = batch(world, &[count(&server, hour, 1, 0)]);
    assert!(repos.usage.add(&first, now).await.unwrap());
    assert_eq!(repos.usage.purge(now + BATCH_MEMORY, 10).await.unwrap(), 0);
    assert!(!repos.usage.add(&first, now).await.unwrap());
    assert_eq!(repos.usage.purge(now + BATCH_MEMORY + Duration::from_millis(1), 10).await.unwrap(), 1);
    assert!(repos.usage.add(&first, now).await.unwrap(), "the id was forgotten");
    let more: [UsageCount; 4] = [1, 2, 3, 4].map(|back| count(&server, hour - back * HOUR, 1, 0));
    assert!(
        repos.usage.add(&UsageBatch { id: BatchId::from_uuid(first.id.uuid()), counts: vec![] }, now).await.is_ok()
    );
    assert!(repos.usage.add(&batch(world, &more), hour + USAGE_LIFE).await.unwrap());
    // Two of the hours are too old; one goes at a time.
    let later = hour - 2 * HOUR + USAGE_LIFE;
    let _ids = repos.usage.purge(hour - 4 * HOUR + USAGE_LIFE, 10).await.unwrap();
    assert_eq!(repos.usage.purge(later, 1).await.unwrap(), 1);
    assert_eq!(repos.usage.purge(later, 1).await.unwrap(), 1);
    assert_eq!(repos.usage.purge(later, 1).await.unwrap(), 0);
    assert_eq!(all(&repos, &server).await.len(), 3);
    repos.servers.delete(server.tenant, server.id, &world.audit("a")).await.unwrap();
    assert!(all(&repos, &server).await.is_empty());
}
