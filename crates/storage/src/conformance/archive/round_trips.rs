//! What comes back.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{super::world::HOUR, *};
use crate::archive::Cell;

fn column(table: &str, name: &str) -> usize {
    TABLES.iter().find(|known| known.name == table).unwrap().position(name).unwrap()
}

pub(in super::super) async fn come_back_as_they_were(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from, 1).await;
    let files = source.backup().await;
    let mut before = dump(&*source.home.archive().await).await;
    let (head, now) = (source.repos.changes.head().await.unwrap(), source.world.now());
    let tenant = source.tenant().await;
    assert!(
        before.iter().all(|(table, rows)| !rows.is_empty() || ["setup", "shredding"].contains(table)),
        "{before:?}"
    );
    // What may be lost and what is over do not travel; whether a code was used since cannot be known.
    let (collection, key) = (column("key_value", "collection"), column("key_value", "key"));
    before.get_mut("key_value").unwrap().retain(|row| {
        row[collection] != Cell::Text(HINTS.name.to_owned()) && row[key] != Cell::Text("over".to_owned())
    });
    source.world.clock.advance(Duration::from_secs(5));
    let now = (now, source.world.now());
    for row in before.get_mut("code").unwrap() {
        row[column("code", "expires_at")] = Cell::Integer(now.1.millis());
    }

    let target = Target::new(&*to).await;
    let restored = target.restore(&source, &files, None).await.unwrap();
    assert_eq!((restored.taken_at, restored.closed.len()), (now.0, 0));
    let mut after = dump(&*target.archive).await;
    assert_eq!(restored.rows, after.values().map(|rows| rows.len() as u64).sum::<u64>() - 1);
    let note = Cell::Text("backup.restored".to_owned());
    let audit = after.get_mut("audit").unwrap();
    let notes: Vec<Row> = audit.extract_if(.., |row| row[column("audit", "action")] == note).collect();
    assert_eq!(notes.len(), 1);
    for (table, rows) in &mut before {
        rows.sort_by_key(|row| format!("{row:?}"));
        assert_eq!(rows, &after[table], "{table}");
    }

    // It opens with the same master key, and goes on from where it was.
    let entropy = Arc::new(SeededEntropy::new(5));
    let clock = source.world.clock.clone();
    let sealer = Sealer::open_ring(source.master.clone(), target.keys.clone(), clock.clone(), entropy).await.unwrap();
    let sealer = Arc::new(sealer);
    let (repos, values) = to.open(clock, sealer).await;
    let found = values.get(place(tenant, VAULT, NASTY)).await.unwrap().unwrap();
    assert_eq!(found.value.as_slice(), NASTY.as_bytes());
    assert_eq!(values.get(place(tenant, VISITS, "one")).await.unwrap().unwrap().format, VISITS.format);
    let revision = values.put(place(tenant, VISITS, "one"), b"anew", Keep::Forever).await.unwrap();
    let last = source.values.put(place(tenant, VISITS, "one"), b"anew", Keep::Forever).await.unwrap();
    assert!(revision.0 > last.0 + 1_000_000, "{revision:?}: the source has given many since");
    let connections = repos.connections.list(ConnectionOwner::Platform).await.unwrap();
    assert_eq!(connections[0].client_secret.as_ref().unwrap().expose(), "secret of google");
    assert_eq!(repos.signing.all().await.unwrap()[0].private.as_ref().unwrap().expose(), "private kid");
    let restored_head = repos.changes.head().await.unwrap();
    assert!(restored_head > head + 1_000_000, "{restored_head}");
    let bob = repos.users.by_handle(&"bob".parse().unwrap()).await.unwrap().unwrap();
    repos.users.update(&bob, &source.world.audit("user.updated")).await.unwrap();
    let changes = repos.changes.since(head, 10).await.unwrap();
    assert_eq!(changes.len(), 2, "the mark of the restore, then what changed");
    assert!(changes[1].sequence > restored_head);
}

pub(in super::super) async fn end_what_is_to_end(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from, 1).await;
    let files = source.backup().await;
    source.world.clock.advance(30 * 24 * HOUR);
    let target = Target::new(&*to).await;
    let undecided = target.restore(&source, &files, None).await.unwrap_err();
    assert!(undecided.to_string().starts_with("the backup is 30 days old."), "{undecided}");
    target.restore(&source, &files, Some(Grants::End)).await.unwrap();
    let (before, after) = (dump(&*source.home.archive().await).await, dump(&*target.archive).await);
    let (state, at) = (column("grant", "state"), column("grant", "revoked_at"));
    assert_eq!((before["grant"].len(), after["grant"].len()), (3, 3));
    assert!(after["grant"].iter().all(|row| row[state] == Cell::Text("revoked".to_owned())));
    let now = Cell::Integer(source.world.now().millis());
    assert_eq!(after["grant"].iter().filter(|row| row[at] == now).count(), 2, "what had ended has its own time");
    assert_eq!(before["refresh"], after["refresh"], "tokens of ended grants are good for nothing");
    let collections = |rows: &[Row]| -> BTreeSet<String> {
        rows.iter().map(|row| format!("{:?}", row[column("key_value", "collection")])).collect()
    };
    assert_eq!(collections(&before["key_value"]).len(), 3);
    assert_eq!(collections(&after["key_value"]), BTreeSet::from(["Text(\"vault\")".to_owned()]));
}

/// Grants are made all the time while backups are: each is there with its code or not at all.
pub(in super::super) async fn are_of_one_moment(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Arc::new(Installation::new(from, 1).await);
    let (alice, server) = {
        let users = source.repos.users.list(None, 10).await.unwrap();
        let tenant = source.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
        (users[0].clone(), source.repos.servers.list(tenant.id, None, 100).await.unwrap()[0].clone())
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let (source, stop, alice, server) = (source.clone(), stop.clone(), alice.clone(), server.clone());
        writers.spawn(async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                source.world.active(&source.repos, &alice, &server).await;
                let at = place(Owner::Tenant(server.tenant), VISITS, "busy");
                source.values.put(at, b"a visit", Keep::Forever).await.unwrap();
                written += 1;
            }
            written
        });
    }
    let mut sizes = BTreeSet::new();
    let mut last = None;
    for _ in 0..5 {
        let files = source.backup().await;
        let (grants, codes) = grants_and_codes(&files);
        assert_eq!(grants, codes);
        sizes.insert(grants.len());
        last = Some(files);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let written: u32 = writers.join_all().await.into_iter().sum();
    assert!(written > 0 && sizes.len() > 1, "{written} grants were written, backups had {sizes:?}");
    Target::new(&*to).await.restore(&source, &last.unwrap(), None).await.unwrap();
}

fn grants_and_codes(files: &Files) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut found, mut table) = (BTreeMap::<String, BTreeSet<String>>::new(), String::new());
    for line in files.data.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if let Some(name) = line["table"].as_str() {
            name.clone_into(&mut table);
        } else if let Some(row) = line.as_array() {
            let at = if table == "code" { column("code", "grant") } else { 0 };
            found.entry(table.clone()).or_default().insert(row[at].to_string());
        }
    }
    (found.remove("grant").unwrap_or_default(), found.remove("code").unwrap_or_default())
}

/// An owner whose keys were removed from the backup: everybody else's secrets open, theirs do not.
pub(in super::super) async fn leave_a_shredded_owner_closed(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from, 1).await;
    let tenant = source.tenant().await;
    let files = source.backup().await.without(tenant);
    let target = Target::new(&*to).await;
    let restored = target.restore(&source, &files, None).await.unwrap();
    assert_eq!(restored.closed, BTreeMap::from([(tenant, Some("acme".to_owned()))]));
    let (clock, entropy) = (source.world.clock.clone(), Arc::new(SeededEntropy::new(5)));
    let sealer = Sealer::open_ring(source.master.clone(), target.keys.clone(), clock.clone(), entropy).await.unwrap();
    let sealer = Arc::new(sealer);
    let (repos, values) = to.open(clock, sealer).await;
    let closed = values.get(place(tenant, VAULT, NASTY)).await;
    assert!(matches!(closed, Err(crate::StorageError::Damaged { .. })), "{closed:?}");
    assert!(values.get(place(Owner::Platform, VAULT, NASTY)).await.unwrap().is_some());
    assert_eq!(repos.connections.list(ConnectionOwner::Platform).await.unwrap().len(), 1);

    // A backup that is made after the live keys are gone has none of them either.
    WrappedKeys::shred(&*source.keys, tenant).await.unwrap();
    assert!(!source.backup().await.keys.contains(&tenant.to_string()));
}

/// A backup of an older schema: what came later gets its default.
pub(in super::super) async fn are_read_of_older_schemas(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from, 1).await;
    let files = source.backup().await;
    let young = TABLES.iter().find(|table| table.name == "key_value").unwrap();
    let format = young.position("format").unwrap();
    let older = files.forged(&source.sealer, |table, mut line| {
        if line["portico"] == "data" {
            line["schema"] = archive::OLDEST.into();
        }
        if table == young.name {
            let columns = if line.is_array() { &mut line } else { &mut line["columns"] };
            columns.as_array_mut().unwrap().remove(format);
        }
        let came_later = ["usage", "usage_batch", "shredding"].contains(&table);
        (!came_later).then_some(line)
    });
    let target = Target::new(&*to).await;
    let mut older = older.await;
    older.keys = older.keys.replacen(&schema_of(&files.keys), &schema_of(&older.data), 1);
    target.restore(&source, &older, None).await.unwrap();
    let after = dump(&*target.archive).await;
    assert!(!after["key_value"].is_empty());
    assert!(after["key_value"].iter().all(|row| row[format] == Cell::Integer(1)));
}

/// The schema in the header of a file, as it stands there.
pub(super) fn schema_of(file: &str) -> String {
    let header: Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    format!("\"schema\":{}", header["schema"])
}
