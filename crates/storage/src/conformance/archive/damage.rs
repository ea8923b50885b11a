//! Rows that nobody can open any more.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{super::HidingKeys, *};
use crate::archive::{ArchiveError, Cell, Counter};

fn at(table: &str, column: &str) -> usize {
    TABLES.iter().find(|known| known.name == table).unwrap().position(column).unwrap()
}

/// An installation like `source`, in another database, with rows changed by `damage`, as by a broken disk.
async fn damaged(source: Installation, home: Box<dyn Home>, damage: impl Fn(&str, &mut Vec<Row>)) -> Installation {
    let mut tables = dump(&*source.home.archive().await).await;
    let mut fill = home.archive().await.fill(source.world.now()).await.unwrap();
    for table in TABLES {
        let rows = tables.get_mut(table.name).unwrap();
        damage(table.name, rows);
        fill.insert(table, rows).await.unwrap();
    }
    for counter in [Counter::Revision, Counter::Change] {
        fill.set(counter, 1_000_000).await.unwrap();
    }
    fill.commit().await.unwrap();
    let (repos, values) = home.open(source.world.clock.clone(), source.sealer.clone()).await;
    Installation { home, repos, values, ..source }
}

/// The row of a value of an owner whose name begins so.
fn value<'a>(rows: &'a mut [Row], owner: &str, collection: &str) -> &'a mut Row {
    // What has expired is in no backup.
    let is = |row: &&mut Row| match (&row[0], &row[1], &row[2]) {
        (Cell::Text(whose), Cell::Text(what), Cell::Text(key)) => {
            whose.starts_with(owner) && what == collection && key != "over"
        }
        _ => false,
    };
    rows.iter_mut().find(is).unwrap()
}

fn sealed_by(cell: &mut Cell, key: u32) {
    let Cell::Bytes(sealed) = cell else { panic!("{cell:?}") };
    sealed[1..5].copy_from_slice(&key.to_be_bytes());
}

fn break_some(table: &str, rows: &mut [Row]) {
    let sealed = at("key_value", "value");
    match table {
        "key_value" => {
            value(rows, "platform", VAULT.name)[0] = Cell::Text("nobody at all".to_owned());
            value(rows, "usr_", VAULT.name)[sealed] = Cell::Bytes(vec![1, 0]);
            value(rows, "ten_", VISITS.name)[sealed] = Cell::Bytes(Vec::new());
            sealed_by(&mut value(rows, "platform", VISITS.name)[sealed], 4711);
        }
        "connection" => {
            rows.sort_by_key(|row| row[at("connection", "tenant")] == Cell::Null);
            let Cell::Bytes(secret) = &mut rows[0][at("connection", "client_secret")] else { panic!() };
            secret[0] ^= 0x40;
        }
        _ => {}
    }
}

pub(in super::super) async fn keep_damaged_rows_as_they_are(from: &impl AsyncFn() -> Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from().await, 1).await;
    let source = damaged(source, from().await, |table, rows| break_some(table, rows)).await;
    let (files, damaged) = source.backup_with(&*source.keys).await.unwrap();
    assert_eq!(damaged, 5);
    let target = Target::new(&*to).await;
    let restored = target.restore(&source, &files, None).await.unwrap();
    assert_eq!((restored.damaged, restored.closed.len()), (5, 0));

    let (before, after) = (dump(&*source.home.archive().await).await, dump(&*target.archive).await);
    let kept = |rows: &[Row]| -> Vec<Row> {
        rows.iter()
            .filter(|row| !format!("{row:?}").contains("\"hints\"") && row[2] != Cell::Text("over".to_owned()))
            .cloned()
            .collect()
    };
    assert_eq!(kept(&before["key_value"]), after["key_value"]);
    assert_eq!(before["connection"], after["connection"]);

    // Everybody else's are as they were.
    let entropy = Arc::new(SeededEntropy::new(5));
    let clock = source.world.clock.clone();
    let sealer = Sealer::open_ring(source.master.clone(), target.keys.clone(), clock.clone(), entropy).await.unwrap();
    let (repos, values) = to.open(clock, Arc::new(sealer)).await;
    let tenant = source.tenant().await;
    let found = values.get(place(tenant, VAULT, NASTY)).await.unwrap().unwrap();
    assert_eq!(found.value.as_slice(), NASTY.as_bytes());
    assert!(values.get(place(tenant, VISITS, "one")).await.is_err());
    let connections = repos.connections.list(ConnectionOwner::Platform).await.unwrap();
    assert_eq!(connections[0].client_secret.as_ref().unwrap().expose(), "secret of google");
}

pub(in super::super) async fn know_which_keys_were_gone(from: &impl AsyncFn() -> Box<dyn Home>, to: Box<dyn Home>) {
    let sealed = at("key_value", "value");
    let source = Installation::new(from().await, 1).await;
    let source = damaged(source, from().await, |table, rows| {
        if table == "key_value" {
            sealed_by(&mut value(rows, "ten_", VAULT.name)[sealed], 2);
        }
    })
    .await;
    let tenant = source.tenant().await;
    let (files, damaged) = source.backup_with(&*source.keys).await.unwrap();
    assert_eq!(damaged, 1);

    // A backup that knew nothing of it, so that the key was in the keys file and is not any more.
    let silent = files
        .forged(&source.sealer, |_, mut line| {
            if let Some(counters) = line.as_object_mut() {
                counters.remove("gone");
            }
            Some(line)
        })
        .await;
    let target = Target::new(&*to).await;
    let refused = target.restore(&source, &silent, None).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::MissingKey { owner, id: 2 } if owner == tenant), "{refused:?}");
    target.restore(&source, &files, None).await.unwrap();

    // A key that the store has, and the keys file would not.
    let mut key = source.keys.load(tenant).await.unwrap().remove(0);
    key.id = 2;
    source.keys.insert(&key).await.unwrap();
    let hiding = HidingKeys { keys: source.keys.clone(), hidden: (tenant, 2), times: AtomicU32::new(2) };
    let refused = source.backup_with(&hiding).await.err().unwrap();
    assert!(matches!(refused, ArchiveError::MissingKey { owner, id: 2 } if owner == tenant), "{refused:?}");
    assert_eq!(hiding.times.load(Ordering::Relaxed), 0);
}
