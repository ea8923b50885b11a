mod removals;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use model::{ManualClock, SeededEntropy, Timestamp};
use storage::{
    Collection, Durability, Keep, KeyValue as _, LocalBus, Maintenance as _, MasterKey, MasterKeys, Owner, Place,
    Sealed, StorageError, WrappedKey, WrappedKeys as _, conformance,
};
use tempfile::TempDir;

use super::*;

/// A directory that gives a new file name each time.
struct Files(TempDir, AtomicU32);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap(), AtomicU32::new(0))
    }

    fn next(&self) -> PathBuf {
        self.0.path().join(format!("{}.db", self.1.fetch_add(1, Ordering::Relaxed)))
    }
}

async fn open(path: &Path, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> Result<Sqlite> {
    Sqlite::open(path, OpenOptions::default(), sealer, clock, Arc::new(LocalBus::default())).await
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)))
}

const COLLECTION: Collection = Collection { name: "things", durability: Durability::Durable, format: 1, reads: &[] };

fn at(key: &str) -> Place<'_> {
    Place { owner: Owner::Platform, collection: COLLECTION, key }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_conform() {
    let files = Files::new();
    conformance::key_value(async |clock| open(&files.next(), conformance::sealer().await, clock).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_values_conform() {
    let files = Files::new();
    conformance::key_value(async |clock| {
        let sealer = conformance::sealer().await;
        Sealed::new(open(&files.next(), sealer.clone(), clock).await.unwrap(), sealer)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_conforms() {
    let files = Files::new();
    conformance::maintenance(async |clock| open(&files.next(), conformance::sealer().await, clock).await.unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trimming_conforms() {
    let files = Files::new();
    conformance::trimming(async |clock, _| {
        let store = open(&files.next(), conformance::sealer().await, clock).await.unwrap();
        (store.repos(), store)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_columns_conform() {
    let files = Files::new();
    conformance::sealed_columns(async |clock, bus| {
        let (sealer, options) = (conformance::sealer().await, OpenOptions::default());
        let store = Sqlite::open(&files.next(), options, sealer, clock, bus).await.unwrap();
        (store.repos(), store)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_conform() {
    let files = Files::new();
    conformance::repositories(async |clock, bus| {
        let (sealer, options) = (conformance::sealer().await, OpenOptions::default());
        Sqlite::open(&files.next(), options, sealer, clock, bus).await.unwrap().repos()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn races_conform() {
    let files = Files::new();
    conformance::races(async |clock, bus| {
        let (sealer, options) = (conformance::sealer().await, OpenOptions::default());
        Sqlite::open(&files.next(), options, sealer, clock, bus).await.unwrap().repos()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_conform() {
    let files = Files::new();
    conformance::changes(async |clock, bus| {
        let (sealer, options) = (conformance::sealer().await, OpenOptions::default());
        Sqlite::open(&files.next(), options, sealer, clock, bus).await.unwrap().repos()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_keys_conform() {
    let files = Files::new();
    conformance::wrapped_keys(async || SqliteKeys::open(&files.next(), OpenOptions::default()).await.unwrap()).await;
}

#[tokio::test]
async fn every_file_is_private_whatever_it_was_before() {
    let files = Files::new();
    let path = files.next();
    fs::write(&path, b"").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let store = open(&path, conformance::sealer().await, clock()).await.unwrap();
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    store.get(at("k")).await.unwrap();
    let modes: Vec<_> = fs::read_dir(files.0.path())
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().permissions().mode() & 0o777))
        .collect();
    assert_eq!(modes.len(), 3, "{modes:?}");
    assert!(modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let (files, sealer) = (Files::new(), conformance::sealer().await);
    let path = files.next();
    let store = open(&path, sealer.clone(), clock()).await.unwrap();
    let revision = store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    store.close().await;
    let store = open(&path, sealer, clock()).await.unwrap();
    assert_eq!(store.get(at("k")).await.unwrap().unwrap().revision, revision);
    assert!(store.put(at("k"), b"w", Keep::Forever).await.unwrap() > revision);
}

#[tokio::test]
async fn two_processes_share_a_file() {
    let (files, sealer) = (Files::new(), conformance::sealer().await);
    let path = files.next();
    let one = open(&path, sealer.clone(), clock()).await.unwrap();
    let two = open(&path, sealer, clock()).await.unwrap();
    let revision = one.put(at("k"), b"v", Keep::Forever).await.unwrap();
    assert!(two.replace(at("k"), revision, b"w", Keep::Forever).await.unwrap().is_some());
    assert!(one.replace(at("k"), revision, b"x", Keep::Forever).await.unwrap().is_none());
    assert_eq!(one.get(at("k")).await.unwrap().unwrap().value.as_slice(), b"w");
}

/// Fails with "database is locked" when a transaction reads first and asks to write later.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_write_at_once_wait_for_each_other() {
    let (files, sealer) = (Files::new(), conformance::sealer().await);
    let path = files.next();
    let stores = [open(&path, sealer.clone(), clock()).await.unwrap(), open(&path, sealer, clock()).await.unwrap()];
    let mut tasks = tokio::task::JoinSet::new();
    for store in stores {
        tasks.spawn(async move {
            let mut won = 0;
            for key in 0..64 {
                won += u32::from(store.insert(at(&key.to_string()), b"v", Keep::Forever).await.unwrap().is_some());
            }
            won
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 64);
}

#[tokio::test]
async fn other_keys_are_refused_and_not_taken_for_an_empty_store() {
    let files = Files::new();
    let path = files.next();
    open(&path, conformance::sealer().await, clock()).await.unwrap().close().await;
    // The keys file was lost: the same master key made new data keys.
    let keys = Arc::new(conformance::MemoryKeys::default());
    let (master, entropy) = (MasterKeys::from(MasterKey::new([0x42; 32])), Arc::new(SeededEntropy::new(1)));
    let sealer = Sealer::open_ring(Arc::new(master), keys, clock(), entropy).await.unwrap();
    let opened = open(&path, Arc::new(sealer), clock()).await;
    assert!(matches!(opened, Err(StorageError::WrongMasterKey { .. })), "{opened:?}");
    open(&path, conformance::sealer().await, clock()).await.unwrap();
}

#[tokio::test]
async fn a_newer_or_another_schema_is_refused() {
    let (files, sealer) = (Files::new(), conformance::sealer().await);
    let path = files.next();
    let store = open(&path, sealer.clone(), clock()).await.unwrap();
    let change = |sql: &'static str| sqlx::query(sql).execute(store.0.database.writer());
    change(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99990101000000, 'future', TRUE, x'00', 0)",
    )
    .await
    .unwrap();
    let newer = open(&path, sealer.clone(), clock()).await;
    assert!(matches!(newer, Err(StorageError::Newer(_))), "{newer:?}");
    change("DELETE FROM _sqlx_migrations WHERE version = 99990101000000").await.unwrap();
    change("UPDATE _sqlx_migrations SET checksum = x'00'").await.unwrap();
    let other = open(&path, sealer, clock()).await;
    assert!(matches!(other, Err(StorageError::Damaged { .. })), "{other:?}");
}

#[tokio::test]
async fn shredded_keys_leave_no_trace_in_the_file() {
    let files = Files::new();
    let path = files.next();
    let keys = SqliteKeys::open(&path, OpenOptions::default()).await.unwrap();
    let wrapped: Vec<u8> = (0..77).collect();
    let key = WrappedKey {
        owner: Owner::Platform,
        id: 1,
        master: None,
        active_from: Timestamp::default(),
        wrapped: wrapped.clone(),
    };
    keys.insert(&key).await.unwrap();
    let holds = || {
        let all = fs::read_dir(files.0.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        all.into_iter().any(|bytes| bytes.windows(wrapped.len()).any(|window| window == wrapped))
    };
    assert!(holds());
    keys.shred(Owner::Platform).await.unwrap();
    assert!(!holds());
}

#[tokio::test]
async fn clean_up_removes_rows_and_no_live_ones() {
    let (files, clock) = (Files::new(), clock());
    let store = open(&files.next(), conformance::sealer().await, clock.clone()).await.unwrap();
    let soon = Keep::Until(clock.now() + std::time::Duration::from_secs(1));
    for key in ["a", "b", "c"] {
        store.put(at(key), b"v", soon).await.unwrap();
    }
    store.put(at("d"), b"v", Keep::Forever).await.unwrap();
    assert_eq!(store.purge(clock.now(), 10).await.unwrap(), 0);
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(store.purge(clock.now(), 2).await.unwrap(), 2);
    assert_eq!(store.purge(clock.now(), 2).await.unwrap(), 1);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM key_value").fetch_one(store.read()).await.unwrap();
    assert_eq!(rows, 1);
}

/// Secrets of every kind, written through every way in, and then the files read as bytes.
#[tokio::test]
async fn no_secret_stands_in_the_files() {
    use model::Secret;
    use storage::repo::LocalAccount;
    let (files, sealer) = (Files::new(), conformance::sealer().await);
    let store = open(&files.next(), sealer.clone(), clock()).await.unwrap();
    let (entropy, repos) = (SeededEntropy::new(3), store.repos());
    let audit =
        || storage::repo::AuditEvent::new(&*clock(), &SeededEntropy::new(9), storage::repo::Actor::System, "a", "b");
    let user = storage::repo::User {
        id: model::UserId::new(&*clock(), &entropy),
        handle: None,
        name: "A".parse().unwrap(),
        email: None,
        operator: false,
        state: storage::repo::UserState::Active,
        created_at: clock().now(),
        session_epoch: 0,
    };
    let password = Secret::new("needle-in-the-haystack".to_owned());
    let account = LocalAccount { user: user.id, email: "visible@example.com".to_owned(), password };
    repos.users.create(&user, Some(&account), &[], &audit()).await.unwrap();
    let values = Sealed::new(store.clone(), sealer);
    values.put(at("k"), b"needle-in-the-haystack", Keep::Forever).await.unwrap();

    let holds = |needle: &[u8]| {
        let all = fs::read_dir(files.0.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        all.into_iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    assert!(holds(b"visible@example.com"), "the search finds what is there");
    assert!(!holds(b"needle-in-the-haystack"));
    store.close().await;
    assert!(!holds(b"needle-in-the-haystack"));
}

#[tokio::test]
async fn commits_are_synced_and_readers_cannot_write() {
    let files = Files::new();
    let store = open(&files.next(), conformance::sealer().await, clock()).await.unwrap();
    let ask =
        async |pragma: &'static str| sqlx::query_scalar::<_, i64>(pragma).fetch_one(store.0.database.writer()).await;
    assert_eq!(ask("PRAGMA synchronous").await.unwrap(), 2, "FULL");
    assert_eq!(ask("PRAGMA foreign_keys").await.unwrap(), 1);
    let written = sqlx::query("DELETE FROM audit").execute(store.read()).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}

/// A file that is empty at first.
struct Home(PathBuf);

#[async_trait::async_trait(?Send)]
impl conformance::Home for Home {
    async fn archive(&self) -> Arc<dyn storage::archive::Archive> {
        Arc::new(SqliteArchive::make(&self.0, OpenOptions::default()).await.unwrap())
    }

    async fn open(&self, clock: Arc<dyn Clock>, sealer: Arc<Sealer>) -> (Repos, Arc<dyn storage::KeyValue>) {
        let store = open(&self.0, sealer.clone(), clock).await.unwrap();
        (store.repos(), Arc::new(Sealed::new(store, sealer)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_conform() {
    let files = Files::new();
    let fresh = async || Box::new(Home(files.next())) as Box<dyn conformance::Home>;
    conformance::archives(&fresh, &fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_are_refused_leave_nothing() {
    let files = Files::new();
    let fresh = async || Box::new(Home(files.next())) as Box<dyn conformance::Home>;
    conformance::refused_archives(&fresh, &fresh, 500).await;
}

/// A table or a column that no archive has would be lost without a word.
#[tokio::test]
async fn archives_have_all_there_is() {
    use storage::archive::{Kind, LEFT_OUT, TABLES};
    let files = Files::new();
    let store = open(&files.next(), conformance::sealer().await, clock()).await.unwrap();
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' ORDER BY t.name, c.name",
    )
    .fetch_all(store.read())
    .await
    .unwrap();
    let there = columns.into_iter().filter(|(table, ..)| !LEFT_OUT.contains(&table.as_str()));
    let mut archived: Vec<_> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table.name, column)))
        .map(|(table, column)| {
            let kind = match column.kind {
                Kind::Id | Kind::Bytes | Kind::Sealed => "BLOB",
                Kind::Text => "TEXT",
                Kind::Integer | Kind::Flag => "INTEGER",
            };
            (table.to_owned(), column.name.to_owned(), kind.to_owned())
        })
        .collect();
    archived.sort();
    assert_eq!(there.collect::<Vec<_>>(), archived);
}
