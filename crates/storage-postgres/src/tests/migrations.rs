//! Schemas: up to date, missing, newer, edited, and of a version that comes next.

use sqlx::{AssertSqlSafe, Executor as _};
use storage::{StorageError, conformance};
use tokio::task::JoinSet;

use super::{
    Places, clock,
    place::{connect, observer},
};
use crate::{Migrated, Postgres, PostgresKeys, PostgresOptions, migrating};

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_start_at_once_migrate_once() {
    let places = Places::default();
    let options = places.empty().await;
    let mut starts = JoinSet::new();
    for _ in 0..10 {
        let options = options.clone();
        starts.spawn(async move {
            let (data, keys) =
                (Postgres::migrate(&options).await.unwrap(), PostgresKeys::migrate(&options).await.unwrap());
            connect(&options, conformance::sealer().await, clock()).await;
            PostgresKeys::connect(&options).await.unwrap();
            (data.applied, keys.applied)
        });
    }
    let (mut data, mut keys): (Vec<_>, Vec<_>) = starts.join_all().await.into_iter().unzip();
    data.sort_unstable();
    keys.sort_unstable();
    assert_eq!(data[..9], [0; 9]);
    assert_eq!(data[9], migrating::DATA.len());
    assert_eq!(keys[..9], [0; 9]);
    assert_eq!(keys[9], migrating::KEYS.len());
}

async fn refused(options: &PostgresOptions) -> StorageError {
    let (sealer, clock) = (conformance::sealer().await, clock());
    Postgres::connect(options, sealer, clock, None).await.expect_err("it does not fit")
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused() {
    let places = Places::default();
    let options = places.empty().await;
    let missing = refused(&options).await;
    assert!(matches!(missing, StorageError::Missing(_)), "{missing:?}");
    assert_eq!(missing.to_string(), "the schema of this version (`portico migrate` makes it) is not there");
    let missing = PostgresKeys::connect(&options).await.unwrap_err();
    assert!(matches!(missing, StorageError::Missing(_)), "{missing:?}");

    Postgres::migrate(&options).await.unwrap();
    assert_eq!(Postgres::migrate(&options).await.unwrap(), Migrated { applied: 0 });
    let mut database = observer(&options).await;
    let mut change = async |sql: &'static str| database.execute(sql).await.unwrap().rows_affected();
    change(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99990101000000, 'future', TRUE, '', 0)",
    )
    .await;
    for newer in [refused(&options).await, Postgres::migrate(&options).await.unwrap_err()] {
        assert!(matches!(newer, StorageError::Newer(_)), "{newer:?}");
        assert!(newer.to_string().contains("its schema is 99990101000000, this version knows 2026"), "{newer}");
    }

    change("DELETE FROM _sqlx_migrations WHERE version = 99990101000000").await;
    // As if the last one were still to come.
    let last = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    change("CREATE TABLE kept AS SELECT * FROM _sqlx_migrations").await;
    assert_eq!(change(last).await, 1);
    let older = refused(&options).await;
    assert!(matches!(older, StorageError::Missing(_)), "{older:?}");
    change("DELETE FROM _sqlx_migrations").await;
    change("INSERT INTO _sqlx_migrations SELECT * FROM kept").await;
    connect(&options, conformance::sealer().await, clock()).await;

    for edited in [
        "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 20261120000100",
        "UPDATE _sqlx_migrations SET version = 1 WHERE version = 20261120000100",
        "UPDATE _sqlx_migrations SET success = FALSE",
    ] {
        change(edited).await;
        for damaged in [refused(&options).await, Postgres::migrate(&options).await.unwrap_err()] {
            assert!(matches!(damaged, StorageError::Damaged { .. }), "{edited}: {damaged:?}");
        }
    }
}

/// What a newer version may do first: add what this version does not know. Everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn this_version_runs_on_an_expanded_schema() {
    let places = Places::default();
    let options = places.migrated().await;
    let (sealer, clock) = (conformance::sealer().await, clock());
    let running = connect(&options, sealer.clone(), clock.clone()).await;
    warm(&running).await;
    expand(&options).await;
    warm(&running).await;
    warm(&connect(&options, sealer, clock).await).await;
    conformance::key_value(async |clock| {
        let options = places.migrated().await;
        expand(&options).await;
        connect(&options, conformance::sealer().await, clock).await
    })
    .await;
}

async fn warm(store: &Postgres) {
    use storage::{Keep, KeyValue as _, repo::Changes as _};
    let at = super::at("k");
    for _ in 0..20 {
        let revision = store.put(at, b"v", Keep::Forever).await.unwrap();
        assert!(store.replace(at, revision, b"w", Keep::Forever).await.unwrap().is_some());
        assert!(store.get(at).await.unwrap().is_some());
        assert!(store.take(at).await.unwrap().is_some());
        assert!(store.insert(at, b"x", Keep::Forever).await.unwrap().is_some());
        assert!(store.delete(at).await.unwrap());
        store.since(0, 10).await.unwrap();
    }
}

/// Adds a column and an index to every table.
async fn expand(options: &PostgresOptions) {
    let mut database = observer(options).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        let column = format!(r#"ALTER TABLE "{table}" ADD COLUMN "later" TEXT DEFAULT 'later'"#);
        let index = format!(r#"CREATE INDEX ON "{table}" ("later")"#);
        database.execute(AssertSqlSafe(column)).await.unwrap();
        database.execute(AssertSqlSafe(index)).await.unwrap();
    }
}
