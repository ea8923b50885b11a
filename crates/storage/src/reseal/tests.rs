use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;

use super::*;
use crate::{
    ACTIVATION, Cursor, DERIVED_LIFE, Keep, KeyValue as _, Scan, WrappedKeys as _, rotate,
    seal::SUCCESSION,
    trial::{KeyFile, Replica, World, at},
};

/// A store that fails after some rewrites.
#[derive(Debug)]
struct Failing {
    store: Arc<crate::Memory>,
    left: AtomicU64,
}

#[async_trait]
impl Maintenance for Failing {
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.store.purge(now, limit).await
    }

    async fn count(&self) -> Result<u64> {
        self.store.count().await
    }

    async fn scan(&self, after: Option<&Cursor>, limit: u32) -> Result<Scan> {
        self.store.scan(after, limit).await
    }

    async fn rewrite(&self, found: &Found, value: &[u8]) -> Result<bool> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            return Err(StorageError::unavailable("away"));
        }
        self.store.rewrite(found, value).await
    }
}

fn reseal(world: &World, replica: &Replica, values: Vec<Arc<dyn Maintenance>>) -> Reseal {
    let (sealer, changes, clock) = (replica.sealer.clone(), world.feed.clone(), world.clock.clone());
    Reseal { sealer, values, columns: Vec::new(), changes, replicas: world.known.clone(), clock }
}

async fn ids(world: &World, owner: Owner) -> Vec<u32> {
    world.keys.load(owner).await.unwrap().iter().map(|key| key.id).collect()
}

async fn sealed_by(world: &World) -> Vec<u32> {
    let scan = world.memory.scan(None, 10_000).await.unwrap();
    let mut ids: Vec<_> = scan.found.iter().map(|found| aead::key_id(&found.entry.value).unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

async fn rotated(world: &World, replica: &Replica) {
    rotate(&replica.sealer, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    world.clock.advance(ACTIVATION);
}

#[tokio::test]
async fn old_keys_go_once_nothing_needs_them() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme, beta] = world.tenants();
    let (one, two) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    for number in 0..500 {
        let owner = [acme, beta, Owner::Platform][number % 3];
        one.put(owner, &number.to_string(), &number.to_string()).await;
    }
    let kept = at(acme, "kept");
    let until = Keep::Until(world.now() + Duration::from_hours(1));
    let revision = one.kv.put(kept, b"kept", until).await.unwrap();
    // The other one remembers the keys as they are.
    assert_eq!(two.get(beta, "1").await.unwrap().unwrap(), "1");
    rotated(&world, &one).await;

    let work = reseal(&world, &one, vec![world.memory.clone()]);
    let mut told = Vec::new();
    let done = work
        .run(None, &mut |progress| {
            told.push(progress.clone());
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert_eq!((done.looked_at, done.resealed, done.damaged, done.removed), (501, 501, 0, 0));
    assert_eq!(told.last().map(|last| (last.done, last.total)), Some((501, 501)));
    assert_eq!(sealed_by(&world).await, [2]);
    // Not yet: a replica that knows nothing of the new keys may still write with the old ones.
    assert_eq!(ids(&world, acme).await, [1, 2]);
    two.put(beta, "late", "late").await;
    assert_eq!(sealed_by(&world).await, [1, 2]);
    assert!(done.removable_from.is_some_and(|(first, last)| first < last && last > world.now() + DERIVED_LIFE));

    world.clock.advance(SUCCESSION);
    two.follower.sync().await.unwrap();
    let done = work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.resealed, done.removed), (1, 2));
    assert_eq!((ids(&world, acme).await, ids(&world, beta).await), (vec![2], vec![2]));
    // Browsers and clients may hold what the platform's old key made.
    assert_eq!(ids(&world, Owner::Platform).await, [1, 2]);
    world.clock.advance(DERIVED_LIFE);
    assert_eq!(work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap().removed, 1);
    assert_eq!(ids(&world, Owner::Platform).await, [2]);
    assert_eq!(work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap().removable_from, None);

    for replica in [&one, &two, &world.replica(&masters, 3).await] {
        for number in [0, 1, 2, 499] {
            let owner = [acme, beta, Owner::Platform][number % 3];
            let read = replica.get(owner, &number.to_string()).await.unwrap();
            assert_eq!(read.unwrap(), number.to_string());
        }
        assert_eq!(replica.get(beta, "late").await.unwrap().unwrap(), "late");
    }
    // Nothing else of a value changes: it had expired by now.
    assert!(one.kv.get(kept).await.unwrap().is_none());
    let scan = world.memory.scan(None, 10_000).await.unwrap();
    let entry = &scan.found.iter().find(|found| found.key == "kept").unwrap().entry;
    assert_eq!((entry.revision, entry.keep, entry.format), (revision, until, 1));
}

#[tokio::test]
async fn it_goes_on_where_it_failed() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme] = world.tenants();
    let one = world.replica(&masters, 1).await;
    for number in 0..1000 {
        one.put(acme, &format!("{number:04}"), "v").await;
    }
    rotated(&world, &one).await;
    let failing = Arc::new(Failing { store: world.memory.clone(), left: AtomicU64::new(450) });
    let work = reseal(&world, &one, vec![failing.clone()]);
    let mut told = Vec::new();
    let failed = work
        .run(None, &mut |progress| {
            told.push(progress.clone());
            ControlFlow::Continue(())
        })
        .await;
    assert!(matches!(failed, Err(StorageError::Unavailable(_))), "{failed:?}");
    let last = told.last().unwrap();
    assert_eq!((last.done, last.total), (400, 1000));

    failing.left.store(u64::MAX, Ordering::SeqCst);
    world.clock.advance(SUCCESSION);
    let mut pages = 0;
    let mut one_more = |_: &Progress| {
        pages += 1;
        ControlFlow::Break(())
    };
    let ended = work.run(Some(last.position.parse().unwrap()), &mut one_more).await.unwrap();
    assert_eq!((ended.ended, ended.looked_at, pages), (true, 200, 1));
    let done = work.run(Some(last.position.parse().unwrap()), &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.looked_at, done.removed), (600, 0), "a part of a pass removes nothing");
    assert_eq!((ended.resealed, done.resealed), (150, 400));
    assert_eq!(sealed_by(&world).await, [2]);
    assert_eq!(work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap().removed, 1);
}

#[tokio::test]
async fn a_write_in_between_wins() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme] = world.tenants();
    let one = world.replica(&masters, 1).await;
    one.put(acme, "k", "old").await;
    rotated(&world, &one).await;
    let found = world.memory.scan(None, 10).await.unwrap().found.remove(0);
    one.put(acme, "k", "new").await;
    let work = reseal(&world, &one, vec![world.memory.clone()]);
    assert!(matches!(work.value(&*world.memory, &found).await.unwrap(), Outcome::Good));
    assert_eq!(one.get(acme, "k").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn what_is_damaged_stays_and_keeps_its_key_and_stops_nothing() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme, beta] = world.tenants();
    let one = world.replica(&masters, 1).await;
    for owner in [acme, beta] {
        one.put(owner, "k", "v").await;
    }
    let stolen = world.memory.get(at(acme, "k")).await.unwrap().unwrap().value;
    world.memory.put(at(acme, "moved"), &stolen, Keep::Forever).await.unwrap();
    world.memory.put(at(acme, "short"), b"x", Keep::Forever).await.unwrap();
    rotated(&world, &one).await;
    world.clock.advance(SUCCESSION);
    let work = reseal(&world, &one, vec![world.memory.clone()]);
    let done = work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.looked_at, done.resealed, done.damaged, done.removed), (4, 2, 2, 1));
    assert_eq!((ids(&world, acme).await, ids(&world, beta).await), (vec![1, 2], vec![2]));
    let left = world.memory.get(at(acme, "moved")).await.unwrap().unwrap();
    assert_eq!(left.value, stolen, "as it was");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_key_that_was_made_just_now() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme] = world.tenants();
    let one = world.replica(&masters, 1).await;
    one.put(acme, "k", "v").await;
    rotate(&one.sealer, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    let work = reseal(&world, &one, vec![world.memory.clone()]);
    let clock = world.clock.clone();
    let ticking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            clock.advance(Duration::from_millis(500));
        }
    });
    assert_eq!(work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap().resealed, 1);
    assert_eq!(sealed_by(&world).await, [2]);
    ticking.abort();
}

#[tokio::test]
async fn shredded_is_shredded_for_every_replica_and_every_copy() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme, beta] = world.tenants();
    let (one, two) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    one.put(acme, "k", "v").await;
    one.put(beta, "k", "v").await;
    rotated(&world, &one).await;
    one.put(acme, "l", "w").await;
    for key in ["k", "l"] {
        assert!(two.get(acme, key).await.unwrap().is_some());
    }
    let backup = world.memory.scan(None, 100).await.unwrap().found;

    // As the command does it, in a process of its own.
    let shredding = world.sealer(masters.clone(), 3).await.unwrap();
    shredding.shred(acme).await.unwrap();
    let sequence = world.feed.data_keys_changed(&[acme]).await.unwrap();
    assert!(two.get(acme, "k").await.unwrap().is_some(), "it has not heard of it yet");
    for replica in [&one, &two] {
        replica.follower.sync().await.unwrap();
        assert_eq!(replica.follower.position(), sequence);
    }
    // The data is deleted, and comes back from a backup.
    for found in &backup {
        let place = at(found.owner, &found.key);
        world.memory.delete(place).await.unwrap();
        world.memory.put(place, &found.entry.value, found.entry.keep).await.unwrap();
    }
    for replica in [&one, &two, &world.replica(&masters, 4).await] {
        for key in ["k", "l"] {
            let shut = replica.get(acme, key).await;
            assert!(matches!(shut, Err(StorageError::Damaged { reason: "its key is gone", .. })), "{shut:?}");
        }
        assert_eq!(replica.get(beta, "k").await.unwrap().unwrap(), "v");
    }
    let rotation = shredding.rotate(acme).await.unwrap();
    assert!(!rotation.made && ids(&world, acme).await.is_empty(), "and nobody gives it a new key");
}

#[test]
fn a_position_reads_back() {
    for text in ["0:", "12:platform/things/a:b/c"] {
        assert_eq!(text.parse::<ResealPosition>().unwrap().to_string(), text);
    }
    for bad in ["", "x", ":", "-1:", "a:b"] {
        assert_eq!(bad.parse::<ResealPosition>(), Err(InvalidPosition));
    }
}

/// It may have been killed between making a key and saying so; who has not heard writes with the older one.
#[tokio::test(start_paused = true)]
async fn no_key_goes_while_a_replica_may_still_seal_with_it() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme, _] = world.tenants();
    let (one, deaf) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    deaf.put(acme, "k", "old").await;
    // Nobody is told.
    one.sealer.rotate(acme).await.unwrap();
    world.clock.advance(SUCCESSION + ACTIVATION);
    let id = model::ReplicaId::new(&*world.clock, &model::SeededEntropy::new(9));
    let here = |position| crate::repo::Replica { id, seen_at: world.clock.now(), position };
    world.known.beat(&here(0)).await.unwrap();
    let work = reseal(&world, &one, vec![world.memory.clone()]);
    let done = work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.unheard, done.removed), (1, 0));
    deaf.put(acme, "k", "old again").await;
    assert_eq!(sealed_by(&world).await, [1], "it has not heard of the new key");

    // The pass has announced the key.
    deaf.follower.sync().await.unwrap();
    world.known.beat(&here(u64::MAX)).await.unwrap();
    let done = work.run(None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.unheard, done.removed), (0, 1));
    assert_eq!(ids(&world, acme).await, [2]);
    assert_eq!(sealed_by(&world).await, [2]);
}
