use std::time::Duration;

use model::ManualClock;

use super::*;
use crate::{Collection, Durability, conformance};

const THINGS: Collection = Collection { name: "things", durability: Durability::Volatile, format: 1, reads: &[] };

fn at(key: &str) -> Place<'_> {
    Place { owner: Owner::Platform, collection: THINGS, key }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    conformance::key_value(async |clock| Memory::new(clock)).await;
    conformance::maintenance(async |clock| Memory::new(clock)).await;
}

#[tokio::test]
async fn writing_cleans_up_what_expired() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
    let store = Memory::new(clock.clone());
    let soon = Keep::Until(clock.now() + Duration::from_secs(1));
    for key in 0..100 {
        store.put(at(&key.to_string()), b"v", soon).await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    for key in 100..125 {
        store.put(at(&key.to_string()), b"v", Keep::Forever).await.unwrap();
    }
    assert_eq!(store.state().entries.len(), 25);
    assert!(store.state().by_expiry.is_empty());
}

#[tokio::test]
async fn clean_up_is_bounded_and_leaves_what_lives() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
    let store = Memory::new(clock.clone());
    let soon = Keep::Until(clock.now() + Duration::from_secs(1));
    for key in ["a", "b", "c"] {
        store.put(at(key), b"v", soon).await.unwrap();
    }
    // Written again, kept longer: the old expiry is forgotten.
    store.put(at("c"), b"v", Keep::Until(clock.now() + Duration::from_secs(9))).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.purge(clock.now(), 1).await.unwrap(), 1);
    assert_eq!(store.purge(clock.now(), 10).await.unwrap(), 1);
    assert!(store.get(at("c")).await.unwrap().is_some());
}
