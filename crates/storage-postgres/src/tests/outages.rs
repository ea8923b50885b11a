//! Servers that freeze, die or cannot be reached, and callers that go away.

use std::{future::Future, time::Duration};

use services::{Cut, Durability};
use sqlx::Executor as _;
use storage::{Keep, KeyValue as _, Result, StorageError, conformance};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    Places, at, clock,
    place::{self, connect, observer},
};
use crate::{Postgres, PostgresOptions};

/// The 5 seconds that an operation may take, and some time for a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);
/// For how long calls may still fail when a server is back.
const RECOVERY: Duration = Duration::from_secs(5);

/// A server of the test's own, with a store.
async fn own(durability: Durability) -> (services::Postgres, PostgresOptions, Postgres) {
    let server = services::Postgres::start(durability).unwrap();
    let options = place::options(&server.url());
    Postgres::migrate(&options).await.unwrap();
    let store = connect(&options, conformance::sealer().await, clock()).await;
    (server, options, store)
}

/// 64 callers of several verbs, none of whom waits longer than an operation may take.
async fn storm(store: &Postgres) -> Vec<Result<()>> {
    let mut callers = JoinSet::new();
    for caller in 0..64_u32 {
        let store = store.clone();
        callers.spawn(async move {
            let key = caller.to_string();
            let call = async {
                match caller % 4 {
                    0 => store.get(at(&key)).await.map(drop),
                    1 => store.put(at(&key), b"v", Keep::Forever).await.map(drop),
                    2 => store.take(at(&key)).await.map(drop),
                    _ => {
                        let mut write = store.write().await?;
                        write.change_user(model::Id::from_uuid(uuid::Uuid::nil()));
                        write.commit().await
                    }
                }
            };
            timeout(PATIENCE, call).await.expect("no caller waits longer than an operation may take")
        });
    }
    callers.join_all().await
}

fn unavailable<T>(result: &Result<T>) -> bool {
    matches!(result, Err(StorageError::Unavailable(_)))
}

async fn all_fail(store: &Postgres) {
    let results = storm(store).await;
    assert!(results.iter().all(unavailable), "{:?}", results.iter().find(|result| !unavailable(result)));
}

async fn all_work(store: &Postgres) {
    for result in storm(store).await {
        result.unwrap();
    }
}

/// How long it takes until calls work.
async fn recovered<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Duration {
    let since = Instant::now();
    while call().await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "it does not recover");
        sleep(Duration::from_millis(50)).await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_holds_nobody_and_is_used_again_when_it_thaws() {
    let (server, _, store) = own(Durability::Fast).await;
    all_work(&store).await;
    // One transaction is open, and one statement runs, when it freezes.
    let mut open = store.write().await.unwrap();
    open.on().execute("SELECT 1").await.unwrap();
    let running = tokio::spawn({
        let store = store.clone();
        async move { sqlx::query("SELECT pg_sleep(1)").execute(store.read()).await }
    });
    sleep(Duration::from_millis(200)).await;
    server.freeze();
    let since = Instant::now();
    open.change_user(model::Id::from_uuid(uuid::Uuid::nil()));
    let (commit, (), running) = tokio::join!(open.commit(), all_fail(&store), running);
    assert!(unavailable(&commit), "{commit:?}");
    assert!(running.unwrap().is_err());
    assert!(since.elapsed() < PATIENCE);
    // And again, when nothing is left of the pool.
    all_fail(&store).await;
    server.thaw();
    let took = recovered(|| store.get(at("k"))).await;
    assert!(took < RECOVERY, "{took:?}");
    all_work(&store).await;
    assert_eq!(store.read().free(), 20, "no place in the pool was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_cut_holds_nobody_and_is_used_again_when_it_heals() {
    let (server, direct, store) = own(Durability::Fast).await;
    store.close().await;
    let cut = Cut::before(server.port()).unwrap();
    let options = place::options(&cut.url(direct.url.expose()));
    let store = connect(&options, conformance::sealer().await, clock()).await;
    for (name, fail) in [("freeze", Cut::freeze as fn(&Cut)), ("refuse", Cut::refuse), ("reset", Cut::reset)] {
        all_work(&store).await;
        fail(&cut);
        all_fail(&store).await;
        cut.heal();
        let took = recovered(|| store.get(at("k"))).await;
        assert!(took < RECOVERY, "{name}: {took:?}");
        all_work(&store).await;
    }
    assert_eq!(store.read().free(), 20, "no place in the pool was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_are_replaced_before_anybody_notices() {
    let places = Places::default();
    let options = places.migrated().await;
    let store = connect(&options, conformance::sealer().await, clock()).await;
    let mut observer = observer(&options).await;
    for _ in 0..5 {
        all_work(&store).await;
        observer
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await
            .unwrap();
        // Longer than a connection is trusted without asking.
        sleep(Duration::from_millis(150)).await;
        all_work(&store).await;
    }
}

/// What `put` acknowledged is there after `kill -9`, each time.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_servers_death() {
    let (mut server, _, store) = own(Durability::Safe).await;
    for round in 0..3_u64 {
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let store = store.clone();
            writers.spawn(async move {
                let mut written = Vec::new();
                loop {
                    let key = format!("{round}/{writer}/{}", written.len());
                    if store.insert(at(&key), b"v", Keep::Forever).await.is_err() {
                        return written;
                    }
                    written.push(key);
                }
            });
        }
        sleep(Duration::from_millis(100 + 37 * round)).await;
        server.kill9();
        let written: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        server.restart().unwrap();
        let took = recovered(|| store.get(at("k"))).await;
        assert!(took < RECOVERY, "{took:?}");
        assert!(!written.is_empty());
        for key in written {
            assert!(store.get(at(&key)).await.unwrap().is_some(), "{key} was acknowledged and is gone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_go_away_leave_no_lock_and_no_transaction() {
    let places = Places::default();
    let options = places.migrated().await;
    let store = connect(&options, conformance::sealer().await, clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    for round in 0..30_u64 {
        let mut callers = JoinSet::new();
        for _ in 0..10 {
            let store = store.clone();
            callers.spawn(async move {
                let mut write = store.write().await?;
                let lock = sqlx::query("SELECT 1 FROM key_value WHERE key = 'k' FOR UPDATE").execute(write.on()).await;
                lock.map_err(crate::failed)?;
                sleep(Duration::from_millis(20)).await;
                write.commit().await
            });
        }
        sleep(Duration::from_millis(round * 2)).await;
        callers.abort_all();
        while callers.join_next().await.is_some() {}
    }
    let since = Instant::now();
    store.put(at("k"), b"w", Keep::Forever).await.unwrap();
    assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
    all_work(&store).await;
    sleep(Duration::from_millis(1_500)).await;
    let mut observer = observer(&options).await;
    let open: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL",
    )
    .fetch_one(&mut observer)
    .await
    .unwrap();
    assert_eq!(open, 0);
    assert_eq!(store.read().free(), 20, "no place in the pool was lost");
}

#[tokio::test]
async fn a_transaction_of_which_a_statement_failed_is_not_committed() {
    let places = Places::default();
    let store = places.store(clock()).await;
    let mut write = store.write().await.unwrap();
    write.on().execute("INSERT INTO canary VALUES (2, '')").await.unwrap_err();
    assert!(unavailable(&write.commit().await));
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
}

/// As after a pooler gave the session to somebody else, or a table was changed under a prepared statement.
#[tokio::test]
async fn a_connection_that_lost_its_statements_is_replaced() {
    let places = Places::default();
    let store = places.store(clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    // There is one connection, and it is the one that is used again.
    store.read().execute("DEALLOCATE ALL").await.unwrap();
    let lost = store.put(at("k"), b"w", Keep::Forever).await;
    assert!(unavailable(&lost), "{lost:?}");
    store.put(at("k"), b"w", Keep::Forever).await.unwrap();
}

/// Waiting for a lock is bounded like everything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_let_go_holds_nobody_for_long() {
    let places = Places::default();
    let options = places.migrated().await;
    let store = connect(&options, conformance::sealer().await, clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    let mut observer = observer(&options).await;
    observer.execute("BEGIN; SELECT 1 FROM key_value FOR UPDATE").await.unwrap();
    let put = timeout(PATIENCE, store.put(at("k"), b"w", Keep::Forever)).await.expect("it gives up");
    assert!(unavailable(&put), "{put:?}");
    observer.execute("ROLLBACK").await.unwrap();
    store.put(at("k"), b"w", Keep::Forever).await.unwrap();
}
