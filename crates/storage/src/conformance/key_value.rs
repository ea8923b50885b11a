//! Values that may expire, and races for them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    CALLERS,
    world::{World, race},
};
use crate::{Collection, Durability, Keep, KeyValue, Owner, Place, Revision};

const CODES: Collection = Collection { name: "codes", durability: Durability::Durable, format: 1, reads: &[] };
const OTHERS: Collection = Collection { name: "others", durability: Durability::Durable, format: 1, reads: &[] };

fn at(key: &str) -> Place<'_> {
    Place { owner: Owner::Platform, collection: CODES, key }
}

async fn value(store: &impl KeyValue, at: Place<'_>) -> Option<Vec<u8>> {
    store.get(at).await.unwrap().map(|entry| entry.value.to_vec())
}

pub(super) async fn reads_what_was_written(world: &World, store: &impl KeyValue) {
    assert!(store.get(at("k")).await.unwrap().is_none());
    let until = Keep::Until(world.now() + Duration::from_millis(1500));
    let first = store.put(at("k"), b"one", Keep::Forever).await.unwrap();
    let second = store.put(at("k"), b"two", until).await.unwrap();
    let entry = store.get(at("k")).await.unwrap().unwrap();
    assert_eq!(entry.format, CODES.format);
    assert_eq!((entry.value.as_slice(), entry.revision, entry.keep), (&b"two"[..], second, until));
    assert!(second > first);
    assert!(store.delete(at("k")).await.unwrap());
    assert!(!store.delete(at("k")).await.unwrap());
    assert!(store.take(at("k")).await.unwrap().is_none());
    let third = store.put(at("k"), b"", Keep::Forever).await.unwrap();
    assert!(third > second, "a place that was deleted repeats no revision");
    assert_eq!(value(store, at("k")).await.unwrap(), b"");
}

pub(super) async fn places_are_apart(store: &impl KeyValue, world: &World) {
    // One id as a tenant's and as a user's: the kind of owner is part of the address.
    let tenant = world.id();
    let user = model::Id::from_uuid(tenant.uuid());
    let places = [
        at("k"),
        at("K"),
        at("k "),
        Place { collection: OTHERS, ..at("k") },
        Place { owner: Owner::Tenant(tenant), ..at("k") },
        Place { owner: Owner::Tenant(world.id()), ..at("k") },
        Place { owner: Owner::User(user), ..at("k") },
    ];
    for (number, place) in (0_u8..).zip(places) {
        assert!(store.insert(place, &[number], Keep::Forever).await.unwrap().is_some(), "{place}");
    }
    for (number, place) in (0_u8..).zip(places) {
        assert_eq!(store.take(place).await.unwrap().unwrap().value.as_slice(), [number], "{place}");
    }
}

pub(super) async fn what_expired_is_absent(world: &World, store: &impl KeyValue) {
    let until = Keep::Until(world.now() + Duration::from_mins(1));
    let mut revision = Revision(0);
    for key in ["get", "insert", "take", "replace", "delete"] {
        revision = store.put(at(key), b"v", until).await.unwrap();
    }
    let replaced = store.get(at("replace")).await.unwrap().unwrap().revision;
    world.clock.advance(Duration::from_millis(59_999));
    assert!(store.get(at("get")).await.unwrap().is_some());
    world.clock.advance(Duration::from_millis(1));
    assert!(store.get(at("get")).await.unwrap().is_none());
    assert!(store.replace(at("replace"), replaced, b"w", Keep::Forever).await.unwrap().is_none());
    assert!(store.take(at("take")).await.unwrap().is_none());
    assert!(!store.delete(at("delete")).await.unwrap());
    let inserted = store.insert(at("insert"), b"w", Keep::Forever).await.unwrap();
    assert!(inserted.is_some_and(|inserted| inserted > revision));
    assert_eq!(value(store, at("insert")).await.unwrap(), b"w");
}

pub(super) async fn insert_does_not_overwrite(_: &World, store: &impl KeyValue) {
    assert!(store.insert(at("k"), b"one", Keep::Forever).await.unwrap().is_some());
    assert!(store.insert(at("k"), b"two", Keep::Forever).await.unwrap().is_none());
    assert_eq!(value(store, at("k")).await.unwrap(), b"one");
}

pub(super) async fn replace_needs_the_revision(_: &World, store: &impl KeyValue) {
    assert!(store.replace(at("k"), Revision(0), b"none", Keep::Forever).await.unwrap().is_none());
    let first = store.put(at("k"), b"one", Keep::Forever).await.unwrap();
    let second = store.replace(at("k"), first, b"two", Keep::Forever).await.unwrap().unwrap();
    assert!(store.replace(at("k"), first, b"three", Keep::Forever).await.unwrap().is_none());
    assert_eq!(value(store, at("k")).await.unwrap(), b"two");
    store.delete(at("k")).await.unwrap();
    let again = store.put(at("k"), b"four", Keep::Forever).await.unwrap();
    assert!(again > second);
    assert!(store.replace(at("k"), second, b"five", Keep::Forever).await.unwrap().is_none());
    assert_eq!(value(store, at("k")).await.unwrap(), b"four");
}

pub(super) async fn one_insert_wins<K: KeyValue + 'static>(world: &World, store: Arc<K>) {
    // Over an expired value, which is the harder case.
    store.put(at("k"), b"old", Keep::Until(world.now())).await.unwrap();
    let inserted =
        race(CALLERS, |caller| {
            let store = store.clone();
            async move {
                store.insert(at("k"), &[u8::try_from(caller).unwrap()], Keep::Forever).await.unwrap().map(|_| caller)
            }
        })
        .await;
    let winners: Vec<_> = inserted.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(value(&*store, at("k")).await.unwrap(), [u8::try_from(winners[0]).unwrap()]);
}

pub(super) async fn one_take_wins<K: KeyValue + 'static>(_: &World, store: Arc<K>) {
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    let taken = race(CALLERS, |_| {
        let store = store.clone();
        async move { store.take(at("k")).await.unwrap() }
    })
    .await;
    assert_eq!(taken.into_iter().flatten().count(), 1);
}

pub(super) async fn one_replace_wins<K: KeyValue + 'static>(_: &World, store: Arc<K>) {
    let revision = store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    let replaced = race(CALLERS, |_| {
        let store = store.clone();
        async move { store.replace(at("k"), revision, b"w", Keep::Forever).await.unwrap() }
    })
    .await;
    assert_eq!(replaced.into_iter().flatten().count(), 1);
}

pub(super) async fn no_revision_comes_twice<K: KeyValue + 'static>(_: &World, store: Arc<K>) {
    let revisions = race(CALLERS, |caller| {
        let store = store.clone();
        async move { store.put(at(&(caller % 4).to_string()), b"v", Keep::Forever).await.unwrap() }
    })
    .await;
    assert_eq!(revisions.into_iter().collect::<BTreeSet<_>>().len(), CALLERS);
}
