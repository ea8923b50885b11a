//! Backups of Postgres, and moving between it and SQLite.

use std::{path::PathBuf, sync::Arc};

use model::Clock;
use sqlx::Connection as _;
use storage::{
    KeyValue, Sealed, Sealer,
    archive::{Archive, Kind, LEFT_OUT, TABLES},
    conformance::{self, Home},
    repo::Repos,
};
use storage_sqlite::{OpenOptions, Sqlite, SqliteArchive};
use tempfile::TempDir;

use super::{
    Places,
    place::{connect, observer},
};
use crate::{PostgresArchive, PostgresOptions};

/// A database of Postgres.
struct Database(PostgresOptions);

#[async_trait::async_trait(?Send)]
impl Home for Database {
    async fn archive(&self) -> Arc<dyn Archive> {
        Arc::new(PostgresArchive::of(&self.0))
    }

    async fn open(&self, clock: Arc<dyn Clock>, sealer: Arc<Sealer>) -> (Repos, Arc<dyn KeyValue>) {
        let store = connect(&self.0, sealer.clone(), clock).await;
        (store.repos(), Arc::new(Sealed::new(store, sealer)))
    }
}

/// A file of SQLite.
struct File(PathBuf);

#[async_trait::async_trait(?Send)]
impl Home for File {
    async fn archive(&self) -> Arc<dyn Archive> {
        Arc::new(SqliteArchive::make(&self.0, OpenOptions::default()).await.unwrap())
    }

    async fn open(&self, clock: Arc<dyn Clock>, sealer: Arc<Sealer>) -> (Repos, Arc<dyn KeyValue>) {
        let bus = Arc::new(storage::LocalBus::default());
        let store = Sqlite::open(&self.0, OpenOptions::default(), sealer.clone(), clock, bus).await.unwrap();
        (store.repos(), Arc::new(Sealed::new(store, sealer)))
    }
}

/// Both, fresh ones each time.
struct Ground {
    places: Places,
    files: TempDir,
}

impl Ground {
    fn new() -> Self {
        Self { places: Places::default(), files: TempDir::new().unwrap() }
    }

    async fn postgres(&self) -> Box<dyn Home> {
        Box::new(Database(self.places.migrated().await))
    }

    fn sqlite(&self) -> Box<dyn Home> {
        let file = tempfile::Builder::new().suffix(".db").tempfile_in(&self.files).unwrap();
        Box::new(File(file.into_temp_path().keep().unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_comes_back_to_postgres() {
    let ground = Ground::new();
    let fresh = async || ground.postgres().await;
    conformance::archives(&fresh, &fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_nothing() {
    let ground = Ground::new();
    // What is read is the same for every database: here it is about what stays of it.
    conformance::refused_archives(async || ground.sqlite(), async || ground.postgres().await, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_moves_to_postgres() {
    let ground = Ground::new();
    conformance::archives(async || ground.sqlite(), async || ground.postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_moves_to_sqlite() {
    let ground = Ground::new();
    conformance::archives(async || ground.postgres().await, async || ground.sqlite()).await;
}

/// A table or a column that no archive has would be lost without a word.
#[tokio::test]
async fn archives_have_all_there_is() {
    let places = Places::default();
    let options = places.migrated().await;
    let mut columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text
         FROM information_schema.columns
         WHERE table_schema = 'public'",
    )
    .fetch_all(&mut observer(&options).await)
    .await
    .unwrap();
    columns.sort();
    columns.retain(|(table, ..)| !LEFT_OUT.contains(&table.as_str()));
    let mut archived: Vec<_> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table.name, column)))
        .map(|(table, column)| {
            let kind = match column.kind {
                Kind::Id => "uuid",
                Kind::Bytes | Kind::Sealed => "bytea",
                Kind::Text => "text",
                Kind::Integer => "bigint",
                Kind::Flag => "boolean",
            };
            (table.to_owned(), column.name.to_owned(), kind.to_owned())
        })
        .collect();
    archived.sort();
    // Numbers of any size.
    let wide = |(table, column, kind): (String, String, String)| {
        let kind = if ["integer", "smallint"].contains(&&*kind) { "bigint".to_owned() } else { kind };
        (table, column, kind)
    };
    assert_eq!(columns.into_iter().map(wide).collect::<Vec<_>>(), archived);
}

/// The number of the newest migration says what an archive has, whichever database wrote it.
#[tokio::test]
async fn both_databases_are_at_the_same_schema() {
    let ground = Ground::new();
    let (postgres, sqlite) = (ground.postgres().await.archive().await, ground.sqlite().archive().await);
    let schema = postgres.schema().await.unwrap();
    assert_eq!(schema.found, schema.known);
    assert_eq!(sqlite.schema().await.unwrap(), schema);
    let empty = PostgresArchive::of(&ground.places.empty().await);
    assert_eq!(empty.schema().await.unwrap().found, 0, "nobody has migrated it yet");
}

/// A restore whose process dies leaves nothing, and what waits for it goes on.
#[tokio::test]
async fn a_restore_that_goes_away_leaves_nothing() {
    let places = Places::default();
    let options = places.migrated().await;
    let archive = PostgresArchive::of(&options);
    let mut fill = archive.fill(model::Timestamp::from_seconds(1_795_181_820)).await.unwrap();
    let table = TABLES.iter().find(|table| table.name == "shredding").unwrap();
    fill.insert(table, &[vec![storage::archive::Cell::Text("platform".to_owned())]]).await.unwrap();
    drop(fill);
    let mut observer = observer(&options).await;
    sqlx::query("INSERT INTO shredding (owner) VALUES ('other')").execute(&mut observer).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM shredding").fetch_one(&mut observer).await.unwrap();
    assert_eq!(rows, 1);
    observer.close().await.unwrap();
}
