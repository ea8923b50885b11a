use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use model::{Clock as _, SeededEntropy};
use tokio::task::JoinSet;

use super::*;
use crate::{
    KeyValue as _, MasterId, MasterKey, MasterKeys, SealedTokens, StorageError, TokenKind, WrappedKey,
    WrappedKeys as _, aead, rotate,
    seal::expand,
    trial::{KeyFile, World, at},
};

/// Which key of its owner sealed a value.
async fn key_of(world: &World, owner: Owner, key: &str) -> u32 {
    let entry = world.memory.get(at(owner, key)).await.unwrap().unwrap();
    aead::key_id(&entry.value).unwrap()
}

fn refused<T: std::fmt::Debug>(result: &Result<T>) -> bool {
    matches!(result, Err(StorageError::Damaged { .. }))
}

#[tokio::test]
async fn a_new_key_seals_once_everybody_could_have_read_it() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme] = world.tenants();
    let (one, two) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    one.put(acme, "old", "1").await;
    let done = rotate(&one.sealer, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.owners, done.made, done.rewrapped), (2, 2, 0));
    one.put(acme, "before", "2").await;
    assert_eq!(key_of(&world, acme, "before").await, 1);
    world.clock.advance(ACTIVATION);
    one.put(acme, "after", "3").await;
    assert_eq!(key_of(&world, acme, "after").await, 2);
    // The other replica was never told, and still seals with the old key and opens all.
    two.put(acme, "other", "4").await;
    for (key, value) in [("old", "1"), ("before", "2"), ("after", "3"), ("other", "4")] {
        for replica in [&one, &two] {
            assert_eq!(replica.get(acme, key).await.unwrap().unwrap(), value);
        }
    }
    two.follower.sync().await.unwrap();
    two.put(acme, "told", "5").await;
    assert_eq!(key_of(&world, acme, "told").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_while_two_replicas_write_and_keys_rotate() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let owners = [world.tenants::<3>().as_slice(), &[Owner::Platform]].concat();
    let (one, two) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    let replicas = std::sync::Arc::new([one, two]);
    let (stop, written) = (std::sync::Arc::new(AtomicBool::new(false)), std::sync::Arc::new(AtomicUsize::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (replicas, owners) = (replicas.clone(), owners.clone());
        let (stop, written) = (stop.clone(), written.clone());
        writers.spawn(async move {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                let (owner, key) = (owners[round % owners.len()], format!("{writer}-{}", round % 7));
                // What one writes the other reads.
                replicas[writer % 2].put(owner, &key, &round.to_string()).await;
                assert_eq!(replicas[(writer + 1) % 2].get(owner, &key).await.unwrap().unwrap(), round.to_string());
                round += 1;
                written.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    for round in 0..20_u8 {
        masters.set(if round < 10 { &[1] } else { &[1, 2] });
        let rotating = world.sealer(masters.clone(), 100 + u64::from(round)).await.unwrap();
        rotate(&rotating, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
        // One of them hears of it now and then, the other rarely.
        replicas[0].follower.sync().await.unwrap();
        if round % 5 == 0 {
            replicas[1].follower.sync().await.unwrap();
        }
        world.clock.advance(ACTIVATION / 2);
        let before = written.load(Ordering::Relaxed);
        while written.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    assert_eq!(world.keys.load(Owner::Platform).await.unwrap().len(), 21);
}

#[tokio::test]
async fn the_old_master_key_can_go_after_a_rotation() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme] = world.tenants();
    let running = world.replica(&masters, 1).await;
    running.put(acme, "k", "v").await;
    // An operator gives everybody the new key, and rotates in a process of its own.
    masters.set(&[1, 2]);
    let rotating = world.sealer(masters.clone(), 2).await.unwrap();
    let done = rotate(&rotating, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.made, done.rewrapped), (2, 2));
    let new = MasterKey::new([2; 32]).id();
    assert_eq!(world.keys.masters().await.unwrap(), [(Some(new), 4)]);
    // The running one meets a key of a master key that it has not read yet.
    running.follower.sync().await.unwrap();
    assert_eq!(running.get(acme, "k").await.unwrap().unwrap(), "v");
    masters.set(&[2]);
    world.clock.advance(ACTIVATION);
    running.put(acme, "l", "w").await;
    let restarted = world.replica(&masters, 3).await;
    for (key, value) in [("k", "v"), ("l", "w")] {
        assert_eq!(restarted.get(acme, key).await.unwrap().unwrap(), value);
    }
    let old = world.sealer(KeyFile::of(&[1]), 4).await;
    assert!(matches!(old, Err(StorageError::WrongMasterKey { .. })), "{old:?}");
}

#[tokio::test]
async fn a_key_of_an_unknown_master_key_says_so_and_is_not_replaced() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let [acme] = world.tenants();
    world.replica(&masters, 1).await.put(acme, "k", "v").await;
    masters.set(&[1, 2]);
    let rotating = world.sealer(masters.clone(), 2).await.unwrap();
    rotating.rotate(acme).await.unwrap();
    let late = world.replica(&KeyFile::of(&[1]), 3).await;
    let refused = late.get(acme, "k").await.unwrap_err();
    assert!(matches!(refused, StorageError::UnknownMasterKey { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&MasterKey::new([2; 32]).id().to_string()), "{refused}");
    assert!(late.kv.put(at(acme, "l"), b"w", crate::Keep::Forever).await.is_err());
    assert_eq!(world.keys.load(acme).await.unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_of_a_stored_key_can_be_changed_by_hand() {
    let (world, masters) = (World::new(), KeyFile::of(&[1, 2]));
    let [acme, beta] = world.tenants();
    let replica = world.replica(&masters, 1).await;
    replica.put(acme, "k", "v").await;
    replica.sealer.rotate(acme).await.unwrap();
    let stored = world.keys.load(acme).await.unwrap();
    let genuine = &stored[1];
    let other = Some(MasterKey::new([1; 32]).id());
    for forged in [
        WrappedKey { active_from: genuine.active_from - Duration::from_millis(1), ..genuine.clone() },
        WrappedKey { active_from: Timestamp::default(), ..genuine.clone() },
        WrappedKey { active_from: Timestamp::default(), master: None, ..genuine.clone() },
        WrappedKey { master: None, ..genuine.clone() },
        WrappedKey { master: other, ..genuine.clone() },
        WrappedKey { id: 3, ..genuine.clone() },
        WrappedKey { wrapped: stored[0].wrapped.clone(), ..genuine.clone() },
        WrappedKey { owner: beta, ..genuine.clone() },
    ] {
        world.keys.shred(forged.owner).await.unwrap();
        world.keys.insert(&forged).await.unwrap();
        let fresh = world.replica(&masters, 2).await;
        let sealed = fresh.sealer.seal(forged.owner, b"here", b"secret").await;
        assert!(refused(&sealed), "{forged:?}: {sealed:?}");
    }
}

#[tokio::test]
async fn keys_from_before_there_were_rings_open_and_are_wrapped_anew() {
    let (world, master) = (World::new(), [1; 32]);
    let [acme] = world.tenants();
    // As the first version wrote it.
    let wrapping = aead::SealingKey::new(&expand(&master, "wrap", ""));
    for (owner, byte) in [(Owner::Platform, 7), (acme, 8)] {
        let text = owner.to_string();
        let wrapped = wrapping.seal(1, b"data key", &[text.as_bytes()], &[byte; 32], &SeededEntropy::new(5));
        let key = WrappedKey { owner, id: 1, master: None, active_from: Timestamp::default(), wrapped };
        world.keys.insert(&key).await.unwrap();
    }
    let masters = KeyFile::of(&[9, 1]);
    let replica = world.replica(&masters, 1).await;
    replica.put(acme, "k", "v").await;
    let sealed = aead::SealingKey::new(&expand(&[8; 32], "seal", ""));
    let entry = world.memory.get(at(acme, "k")).await.unwrap().unwrap();
    let (text, parts) = (acme.to_string(), crate::sealed::value_parts("things", "k", &[1], &[]));
    assert_eq!(sealed.open(text.as_bytes(), &parts, &entry.value).unwrap().as_slice(), b"v", "it is that key");

    assert_eq!(world.keys.masters().await.unwrap(), [(None, 2)]);
    let done = rotate(&replica.sealer, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((done.made, done.rewrapped), (2, 2));
    let id: MasterId = MasterKeys::from(MasterKey::new([1; 32])).newest().id();
    assert_eq!(world.keys.masters().await.unwrap(), [(Some(id), 4)]);
    let restarted = world.replica(&KeyFile::of(&[1]), 2).await;
    assert_eq!(restarted.get(acme, "k").await.unwrap().unwrap(), "v");
}

#[tokio::test]
async fn a_rotation_goes_on_where_it_stopped() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let owners = world.tenants::<7>();
    let replica = world.replica(&masters, 1).await;
    for owner in owners {
        replica.put(owner, "k", "v").await;
    }
    let mut told = Vec::new();
    let after = Some(owners[2]);
    let done = rotate(&replica.sealer, &*world.feed, after, &mut |progress| {
        told.push(progress.clone());
        ControlFlow::Continue(())
    })
    .await
    .unwrap();
    assert_eq!((done.owners, done.made), (4, 4));
    assert_eq!((told[0].done, told[0].total, told[0].position.parse()), (4, 8, Ok(owners[6])));
    for (at, owner) in owners.into_iter().enumerate() {
        assert_eq!(world.keys.load(owner).await.unwrap().len(), if at <= 2 { 1 } else { 2 });
    }
}

#[tokio::test]
async fn two_rotations_at_once_make_one_key() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let (one, two) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    let (first, second) = tokio::join!(one.sealer.rotate(Owner::Platform), two.sealer.rotate(Owner::Platform));
    let made = u32::from(first.unwrap().made) + u32::from(second.unwrap().made);
    assert_eq!(world.keys.load(Owner::Platform).await.unwrap().len(), 1 + made as usize);
    let [acme] = world.tenants();
    assert_eq!(one.sealer.rotate(acme).await.unwrap(), Rotated::default(), "nobody gets a first key by rotation");
}

#[tokio::test]
async fn tokens_outlive_rotations_and_no_token_outlives_its_key() {
    let (world, masters) = (World::new(), KeyFile::of(&[1]));
    let (one, two) = (world.replica(&masters, 1).await, world.replica(&masters, 2).await);
    let tokens = |sealer| SealedTokens::new(sealer, world.clock.clone(), std::sync::Arc::new(SeededEntropy::new(5)));
    let (of_one, of_two) = (tokens(&one.sealer), tokens(&two.sealer));
    let (kind, bound) = (TokenKind::Session, [b"acme".as_slice()]);
    let week = world.now() + Duration::from_hours(7 * 24);
    let old = of_one.seal(kind, &bound, b"old", week);
    rotate(&one.sealer, &*world.feed, None, &mut |_| ControlFlow::Continue(())).await.unwrap();
    two.follower.sync().await.unwrap();
    world.clock.advance(ACTIVATION);
    let new = of_one.seal(kind, &bound, b"new", week);
    for (token, payload) in [(&old, b"old"), (&new, b"new")] {
        for tokens in [&of_one, &of_two] {
            assert_eq!(tokens.open(kind, &bound, token, world.now()).unwrap().as_slice(), payload);
            assert!(tokens.open(TokenKind::Cursor, &bound, token, world.now()).is_none());
            assert!(tokens.open(kind, &bound, token, week).is_none());
        }
    }
    let endless = of_one.seal(kind, &bound, b"x", world.now() + Duration::from_hours(24 * 365));
    assert!(of_one.open(kind, &bound, &endless, world.now() + DERIVED_LIFE - Duration::from_millis(1)).is_some());
    assert!(of_one.open(kind, &bound, &endless, world.clock.now() + DERIVED_LIFE).is_none());
}

#[tokio::test]
async fn nobody_shreds_the_platform() {
    let world = World::new();
    let replica = world.replica(&KeyFile::of(&[1]), 1).await;
    assert!(replica.sealer.shred(Owner::Platform).await.is_err());
    assert_eq!(world.keys.load(Owner::Platform).await.unwrap().len(), 1);
}
