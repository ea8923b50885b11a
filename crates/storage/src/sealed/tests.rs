use std::time::Duration;

use model::{Clock as _, ManualClock, SeededEntropy, TenantId, UserId};

use super::*;
use crate::{
    Collection, Durability, Memory, Owner, StorageError,
    conformance::{self, sealer},
};

const TOKENS: Collection = Collection { name: "tokens", durability: Durability::Durable, format: 1, reads: &[] };

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)))
}

async fn store() -> Sealed<Memory> {
    Sealed::new(Memory::new(clock()), sealer().await)
}

fn acme() -> TenantId {
    TenantId::new(&*clock(), &SeededEntropy::new(5))
}

fn at(key: &str) -> Place<'_> {
    Place { owner: Owner::Tenant(acme()), collection: TOKENS, key }
}

fn damaged(result: Result<Option<Entry>>) -> bool {
    matches!(result, Err(StorageError::Damaged { place, .. }) if place == "tokens" || place == "others")
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_memory_conforms() {
    let sealer = sealer().await;
    conformance::key_value(async |clock| Sealed::new(Memory::new(clock), sealer.clone())).await;
}

#[tokio::test]
async fn a_moved_value_does_not_open() {
    let store = store().await;
    store.put(at("k"), b"secret", Keep::Forever).await.unwrap();
    let stolen = store.inner.get(at("k")).await.unwrap().unwrap().value;
    assert!(stolen.windows(6).all(|window| window != b"secret"));
    let others = Collection { name: "others", ..TOKENS };
    let elsewhere = Owner::Tenant(TenantId::new(&*clock(), &SeededEntropy::new(6)));
    let same_id = Owner::User(UserId::from_uuid(acme().uuid()));
    for moved in [
        at("l"),
        Place { collection: others, ..at("k") },
        Place { owner: elsewhere, ..at("k") },
        Place { owner: same_id, ..at("k") },
        Place { owner: Owner::Platform, ..at("k") },
    ] {
        // The owner has a key of its own, so that a refusal is not for want of one.
        store.put(Place { key: "own", ..moved }, b"own", Keep::Forever).await.unwrap();
        store.inner.put(moved, &stolen, Keep::Forever).await.unwrap();
        assert!(damaged(store.get(moved).await), "{moved}");
        assert!(damaged(store.take(moved).await), "{moved}");
    }
}

#[tokio::test]
async fn another_format_is_refused_by_name_or_read() {
    let store = store().await;
    store.put(at("k"), b"secret", Keep::Forever).await.unwrap();
    let newer = Collection { format: 2, ..TOKENS };
    let refused = store.get(Place { collection: newer, ..at("k") }).await.unwrap_err();
    assert_eq!(refused.to_string(), "a stored value of tokens is of format 1; this version reads 2");
    let reads = Collection { reads: &[1], ..newer };
    let read = store.get(Place { collection: reads, ..at("k") }).await.unwrap().unwrap();
    assert_eq!((read.value.as_slice(), read.format), (&b"secret"[..], 1));
    // Its format changed by hand, to one that is read or not.
    let stolen = store.inner.get(at("k")).await.unwrap().unwrap().value;
    for format in [2, 9] {
        let there = Place { collection: Collection { format, ..TOKENS }, ..at("k") };
        store.inner.put(there, &stolen, Keep::Forever).await.unwrap();
        assert!(damaged(store.get(Place { collection: reads, ..at("k") }).await), "{format}");
    }
}

#[tokio::test]
async fn a_changed_expiry_does_not_open() {
    let store = store().await;
    let until = Timestamp::from_seconds(1_060);
    store.put(at("k"), b"secret", Keep::Until(until)).await.unwrap();
    let stolen = store.inner.get(at("k")).await.unwrap().unwrap().value;
    for keep in [Keep::Forever, Keep::Until(until + Duration::from_millis(1))] {
        store.inner.put(at("k"), &stolen, keep).await.unwrap();
        assert!(damaged(store.get(at("k")).await), "{keep:?}");
    }
    store.inner.put(at("k"), &stolen, Keep::Until(until)).await.unwrap();
    assert_eq!(store.get(at("k")).await.unwrap().unwrap().value.as_slice(), b"secret");
}

#[tokio::test]
async fn replacing_seals_anew() {
    let store = store().await;
    let revision = store.put(at("k"), b"one", Keep::Forever).await.unwrap();
    let until = Keep::Until(clock().now() + Duration::from_secs(5));
    store.replace(at("k"), revision, b"two", until).await.unwrap().unwrap();
    let found = store.get(at("k")).await.unwrap().unwrap();
    assert_eq!((found.value.as_slice(), found.keep), (&b"two"[..], until));
}
