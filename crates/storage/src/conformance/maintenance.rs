//! Looks through a whole store, and exchanged bytes.

use std::{collections::BTreeMap, time::Duration};

use super::world::World;
use crate::{
    Collection, Cursor, Durability, Found, FoundColumn, Keep, KeyValue, Maintenance, Owner, Place, SealedColumns,
    repo::{ConnectionOwner, KeyChange, Repos},
};

const THINGS: Collection = Collection { name: "things", durability: Durability::Durable, format: 3, reads: &[] };
const OTHERS: Collection = Collection { name: "other-things", durability: Durability::Durable, format: 1, reads: &[] };

fn at(owner: Owner, collection: Collection, key: &str) -> Place<'_> {
    Place { owner, collection, key }
}

/// Every value, by page, through cursors that were printed and read.
async fn all(store: &impl Maintenance, limit: u32) -> Vec<Found> {
    let (mut found, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = store.scan(after.as_ref(), limit).await.unwrap();
        found.extend(page.found);
        match page.next {
            Some(next) => after = Some(Cursor::new(next.to_string())),
            None => return found,
        }
    }
}

pub(super) async fn finds_every_value_once<K: KeyValue + Maintenance>(world: &World, store: &K) {
    assert!(all(store, 3).await.is_empty());
    let owners = [Owner::Platform, Owner::Tenant(world.id()), Owner::User(world.id())];
    let until = Keep::Until(world.now() + Duration::from_hours(1));
    let mut expected = BTreeMap::new();
    for owner in owners {
        for collection in [THINGS, OTHERS] {
            for key in ["a", "A", "a/b/c", "", "é"] {
                let value = format!("{owner} {key}");
                let keep = if key == "a" { until } else { Keep::Forever };
                let revision = store.put(at(owner, collection, key), value.as_bytes(), keep).await.unwrap();
                let name = (owner, collection.name.to_owned(), key.to_owned());
                expected.insert(name, (value, revision, keep, collection.format));
            }
        }
    }
    // What has expired by our clock is found as long as it is there.
    world.clock.advance(Duration::from_hours(1));
    for limit in [1, 7, 1000] {
        let found: BTreeMap<_, _> = all(store, limit)
            .await
            .into_iter()
            .map(|Found { owner, collection, key, entry }| {
                let value = String::from_utf8(entry.value.to_vec()).unwrap();
                ((owner, collection, key), (value, entry.revision, entry.keep, entry.format))
            })
            .collect();
        assert_eq!(found, expected, "in pages of {limit}");
    }
    assert!(store.count().await.unwrap() > 0);
}

pub(super) async fn finds_what_stays_while_others_come_and_go<K: KeyValue + Maintenance>(_: &World, store: &K) {
    let name = |number: u32| format!("{number:03}");
    for number in 0..100 {
        store.put(at(Owner::Platform, THINGS, &name(number)), b"v", Keep::Forever).await.unwrap();
    }
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.scan(after.as_ref(), 10).await.unwrap();
        found.extend(page.found.into_iter().map(|found| found.key));
        let Some(next) = page.next else { break };
        after = Some(next);
        // The odd ones of the first half go, and new ones come.
        if pages < 25 {
            store.delete(at(Owner::Platform, THINGS, &name(pages * 2 + 1))).await.unwrap();
            store.put(at(Owner::Platform, THINGS, &name(200 + pages)), b"v", Keep::Forever).await.unwrap();
        }
        pages += 1;
    }
    for number in (0..100).filter(|number| number % 2 == 0 || *number >= 50) {
        assert!(found.contains(&name(number)), "{number}");
    }
}

pub(super) async fn rewrites_exactly_one_write<K: KeyValue + Maintenance>(world: &World, store: &K) {
    let (acme, until) = (Owner::Tenant(world.id()), Keep::Until(world.now() + Duration::from_hours(1)));
    let here = at(acme, THINGS, "k");
    let revision = store.put(here, b"old", until).await.unwrap();
    let found = all(store, 10).await.remove(0);
    assert!(store.rewrite(&found, b"new").await.unwrap());
    assert!(store.rewrite(&found, b"again").await.unwrap(), "the revision stays");
    let entry = store.get(here).await.unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), entry.revision, entry.keep, entry.format), (&b"again"[..], revision, until, 3));
    // The expiry is still known to whatever cleans up.
    assert!(store.replace(here, revision, b"written", until).await.unwrap().is_some());
    assert!(!store.rewrite(&found, b"late").await.unwrap(), "another write came");
    assert_eq!(store.get(here).await.unwrap().unwrap().value.as_slice(), b"written");
    store.delete(here).await.unwrap();
    assert!(!store.rewrite(&found, b"late").await.unwrap(), "the value went");
    assert!(store.get(here).await.unwrap().is_none());
    let expiring = store.put(here, b"short", until).await.unwrap();
    let found = all(store, 10).await.remove(0);
    assert_eq!(found.entry.revision, expiring);
    assert!(store.rewrite(&found, b"short again").await.unwrap());
    world.clock.advance(Duration::from_hours(1));
    assert!(store.get(here).await.unwrap().is_none(), "the expiry stays");
}

async fn columns(store: &impl SealedColumns, limit: u32) -> BTreeMap<(String, Vec<u8>), FoundColumn> {
    let (mut found, mut after) = (BTreeMap::new(), None::<Cursor>);
    loop {
        let page = store.scan_columns(after.as_ref(), limit).await.unwrap();
        for column in page.found {
            found.insert((format!("{}.{}", column.table, column.column), column.row.clone()), column);
        }
        match page.next {
            Some(next) => after = Some(Cursor::new(next.to_string())),
            None => return found,
        }
    }
}

pub(super) async fn finds_and_rewrites_every_column(world: &World, repos: Repos, store: &impl SealedColumns) {
    let (alice, server) = world.acme(&repos).await;
    let account = World::account(&alice, "alice@example.com");
    repos.users.set_local_account(&account, &world.audit("a")).await.unwrap();
    let ours = world.connection(ConnectionOwner::Platform, "ours", "ours");
    let theirs = world.connection(ConnectionOwner::Tenant(server.tenant), "theirs", "theirs");
    for connection in [&ours, &theirs] {
        repos.connections.create(connection, &world.audit("a")).await.unwrap();
    }
    let added = KeyChange { add: vec![world.signing_key("kid")], ..KeyChange::default() };
    assert!(repos.signing.change(&[], &added, world.now(), &world.audit("a")).await.unwrap());

    let found = columns(store, 2).await;
    let owners: BTreeMap<_, _> = found.iter().map(|(name, column)| (name.clone(), column.owner)).collect();
    let name = |name: &str, row: &[u8]| (name.to_owned(), row.to_vec());
    let expected: BTreeMap<_, _> = [
        (name("canary.sealed", &[1]), Owner::Platform),
        (name("local_account.password", alice.id.bytes()), Owner::User(alice.id)),
        (name("connection.client_secret", ours.id.bytes()), Owner::Platform),
        (name("connection.client_secret", theirs.id.bytes()), Owner::Tenant(server.tenant)),
        (name("signing_key.private", b"kid"), Owner::Platform),
    ]
    .into();
    assert_eq!(owners, expected);
    assert!(store.count_columns().await.unwrap() > 0);

    let column = &found[&name("connection.client_secret", theirs.id.bytes())];
    let other = &found[&name("connection.client_secret", ours.id.bytes())];
    assert!(store.rewrite_column(column, b"other bytes").await.unwrap());
    assert!(!store.rewrite_column(column, b"late").await.unwrap(), "they are not the same any more");
    // It does not open now, and nothing else fails.
    let damaged = repos.connections.connection(theirs.id).await.unwrap().unwrap();
    assert!(damaged.client_secret.is_none());
    assert!(repos.connections.update(&damaged, &world.audit("a")).await.is_err(), "and is not sealed anew");
    let listed = repos.connections.list(ConnectionOwner::Tenant(server.tenant)).await.unwrap();
    assert_eq!(listed.len(), 1);
    let now = columns(store, 1).await;
    assert_eq!(now[&name("connection.client_secret", theirs.id.bytes())].sealed, b"other bytes");
    assert_eq!(now[&name("connection.client_secret", ours.id.bytes())].sealed, other.sealed);
    repos.connections.update(&theirs, &world.audit("a")).await.unwrap();
    let repaired = repos.connections.connection(theirs.id).await.unwrap().unwrap();
    assert_eq!(repaired.client_secret.unwrap().expose(), "secret of theirs");

    let private = &found[&name("signing_key.private", b"kid")];
    assert!(store.rewrite_column(private, &private.sealed[1..]).await.unwrap());
    let keys = repos.signing.all().await.unwrap();
    assert!(keys.len() == 1 && keys[0].private.is_none(), "what others signed goes on to verify");
}
