//! Values and wrapped keys.

use std::{future::Future, sync::Arc, time::Duration};

use model::{Clock as _, SeededEntropy};
use storage::{
    Keep, KeyValue as _, Maintenance as _, MasterKey, MasterKeys, Owner, Revision, Sealed, Sealer, StorageError,
    WrappedKeys as _, conformance,
};
use tokio::task::JoinSet;

use super::{
    Places, at, clock,
    place::{connect, observer},
};
use crate::{Postgres, PostgresKeys};

#[tokio::test(flavor = "multi_thread")]
async fn values_conform() {
    let places = Places::default();
    conformance::key_value(async |clock| places.store(clock).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_values_conform() {
    let places = Places::default();
    conformance::key_value(async |clock| Sealed::new(places.store(clock).await, conformance::sealer().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_keys_conform() {
    let places = Places::default();
    conformance::wrapped_keys(async || places.keys().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_conforms() {
    let places = Places::default();
    conformance::maintenance(async |clock| places.store(clock).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_columns_conform() {
    let places = Places::default();
    conformance::sealed_columns(async |clock, bus| {
        let store = places.with_bus(clock, bus).await;
        (store.repos(), store)
    })
    .await;
}

/// Two stores, as two replicas have them, and callers that take turns with them.
#[tokio::test(flavor = "multi_thread")]
async fn one_caller_wins_across_replicas() {
    let (places, sealer) = (Places::default(), conformance::sealer().await);
    let options = places.migrated().await;
    let replicas = [connect(&options, sealer.clone(), clock()).await, connect(&options, sealer.clone(), clock()).await];
    for round in 0..50 {
        let key = round.to_string();
        let inserted = race(&replicas, |store| {
            let key = key.clone();
            async move { store.insert(at(&key), b"first", Keep::Forever).await.unwrap().is_some() }
        });
        assert_eq!(inserted.await, 1, "insert, round {round}");
        let revision = replicas[0].get(at(&key)).await.unwrap().unwrap().revision;
        let replaced = race(&replicas, |store| {
            let key = key.clone();
            async move { store.replace(at(&key), revision, b"second", Keep::Forever).await.unwrap().is_some() }
        });
        assert_eq!(replaced.await, 1, "replace, round {round}");
        let taken = race(&replicas, |store| {
            let key = key.clone();
            async move { store.take(at(&key)).await.unwrap().is_some() }
        });
        assert_eq!(taken.await, 1, "take, round {round}");
    }
}

/// How many of 64 callers win.
async fn race<F>(replicas: &[Postgres; 2], call: impl Fn(Postgres) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        callers.spawn(call(replicas[caller % 2].clone()));
    }
    callers.join_all().await.into_iter().filter(|won| *won).count()
}

/// Drawing the number before the row is locked would let an older one stay.
#[tokio::test(flavor = "multi_thread")]
async fn revisions_only_grow() {
    let places = Places::default();
    let store = places.store(clock()).await;
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..20 {
                store.put(at("k"), b"v", Keep::Forever).await.unwrap();
            }
        });
    }
    let mut newest = Revision(0);
    while !writers.is_empty() {
        if let Some(entry) = store.get(at("k")).await.unwrap() {
            assert!(entry.revision >= newest, "{:?} after {newest:?}", entry.revision);
            newest = entry.revision;
        }
        while writers.try_join_next().is_some() {}
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let (places, sealer) = (Places::default(), conformance::sealer().await);
    let options = places.migrated().await;
    let store = connect(&options, sealer.clone(), clock()).await;
    let revision = store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    store.close().await;
    assert!(matches!(store.get(at("k")).await, Err(StorageError::Unavailable(_))));
    let store = connect(&options, sealer, clock()).await;
    assert_eq!(store.get(at("k")).await.unwrap().unwrap().revision, revision);
    assert!(store.put(at("k"), b"w", Keep::Forever).await.unwrap() > revision);
}

/// As when the schema of the keys was lost, or belongs to another installation.
#[tokio::test]
async fn lost_keys_and_a_wrong_master_key_are_refused() {
    let places = Places::default();
    let options = places.migrated().await;
    let keys = async || Arc::new(PostgresKeys::connect(&options).await.unwrap());
    // Each start has its own randomness, or lost keys would be made again as they were.
    let open = async |master: u8, start: u64| {
        let (master, entropy) = (MasterKeys::from(MasterKey::new([master; 32])), Arc::new(SeededEntropy::new(start)));
        Sealer::open_ring(Arc::new(master), keys().await, clock(), entropy).await
    };
    let connect = async |sealer| Postgres::connect(&options, Arc::new(sealer), clock(), None).await;
    connect(open(1, 1).await.unwrap()).await.unwrap();
    connect(open(1, 2).await.unwrap()).await.unwrap();

    let wrong = open(2, 3).await;
    assert!(matches!(wrong, Err(StorageError::WrongMasterKey { .. })), "{wrong:?}");
    keys().await.shred(Owner::Platform).await.unwrap();
    let lost = connect(open(1, 4).await.unwrap()).await;
    assert!(matches!(lost, Err(StorageError::WrongMasterKey { .. })), "{lost:?}");
}

/// With one replica that comes first and nine that come at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_agree_on_the_keys() {
    let places = Places::default();
    let options = places.migrated().await;
    let mut replicas = JoinSet::new();
    for seed in 0..10 {
        let options = options.clone();
        replicas.spawn(async move {
            let keys = Arc::new(PostgresKeys::connect(&options).await.unwrap());
            let (master, entropy) = (MasterKeys::from(MasterKey::new([1; 32])), Arc::new(SeededEntropy::new(seed)));
            let sealer = Sealer::open_ring(Arc::new(master), keys, clock(), entropy).await;
            let sealer = Arc::new(sealer.unwrap());
            Sealed::new(connect(&options, sealer.clone(), clock()).await, sealer)
        });
    }
    let replicas = replicas.join_all().await;
    for (number, replica) in replicas.iter().enumerate() {
        replica.put(at(&number.to_string()), b"v", Keep::Forever).await.unwrap();
        for other in &replicas {
            assert!(other.get(at(&number.to_string())).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn clean_up_removes_rows_and_no_live_ones() {
    let (places, clock) = (Places::default(), clock());
    let store = places.store(clock.clone()).await;
    let soon = Keep::Until(clock.now() + Duration::from_secs(1));
    for key in ["a", "b", "c"] {
        store.put(at(key), b"v", soon).await.unwrap();
    }
    store.put(at("d"), b"v", Keep::Forever).await.unwrap();
    assert_eq!(store.purge(clock.now(), 10).await.unwrap(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.purge(clock.now(), 2).await.unwrap(), 2);
    assert_eq!(store.purge(clock.now(), 2).await.unwrap(), 1);
    let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM key_value").fetch_one(store.read()).await;
    assert_eq!(rows.unwrap(), 1);
}

/// Deadlines on this side are not enough: what a client that has gone holds must be let go.
#[tokio::test]
async fn sessions_are_set_up_as_they_should_be() {
    let places = Places::default();
    let options = places.migrated().await;
    let store = connect(&options, conformance::sealer().await, clock()).await;
    for (name, value) in [
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", "4500ms"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("client_connection_check_interval", "1s"),
        ("application_name", "portico"),
    ] {
        let set = sqlx::query_scalar::<_, String>("SELECT current_setting($1)").bind(name);
        assert_eq!(set.fetch_one(store.read()).await.unwrap(), value, "{name}");
    }
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    let before: i64 = sqlx::query_scalar(connections).fetch_one(&mut observer(&options).await).await.unwrap();
    assert!(before >= 2, "the store's, the listener's and the observer's: {before}");
}
