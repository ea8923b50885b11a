//! A server that is away, silent or empty.

use std::{error::Error as _, time::Duration};

use services::Cut;
use storage::{Entry, Keep, KeyValue as _, Result, StorageError};
use storage_redis::Redis;
use tokio::time::{Instant, sleep};

use crate::world::{at, clock, connect, options, prefix, soon};

/// No call takes longer, with something on top for a busy machine.
const DEADLINE: Duration = Duration::from_millis(1500);

#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: &Result<T>) {
    assert!(matches!(answer, Err(StorageError::Unavailable(_))), "{answer:?}");
}

/// Every verb is refused within the deadline.
async fn refuses_every_verb(store: &Redis) {
    let took =
        async |verb: &str, began: Instant| assert!(began.elapsed() < DEADLINE, "{verb} took {:?}", began.elapsed());
    let began = Instant::now();
    unavailable(&store.get(at("k")).await);
    took("get", began).await;
    let began = Instant::now();
    unavailable(&store.put(at("k"), b"v", Keep::Forever).await);
    took("put", began).await;
    let began = Instant::now();
    unavailable(&store.insert(at("k"), b"v", Keep::Forever).await);
    took("insert", began).await;
    let began = Instant::now();
    unavailable(&store.take(at("k")).await);
    took("take", began).await;
    let began = Instant::now();
    unavailable(&store.replace(at("k"), storage::Revision(1), b"v", Keep::Forever).await);
    took("replace", began).await;
    let began = Instant::now();
    unavailable(&store.delete(at("k")).await);
    took("delete", began).await;
}

async fn value(store: &Redis, key: &str) -> Option<Vec<u8>> {
    store.get(at(key)).await.ok()?.map(|Entry { value, .. }| value.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_an_error_at_once_and_comes_back_by_itself() {
    let mut server = services::Redis::safe().unwrap();
    let store = connect(&server.url(), &prefix(), clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    for _ in 0..3 {
        server.kill9();
        refuses_every_verb(&store).await;
        let began = Instant::now();
        for _ in 0..200 {
            unavailable(&store.get(at("k")).await);
        }
        assert!(began.elapsed() < Duration::from_secs(1), "200 calls took {:?}", began.elapsed());
        server.restart().unwrap();
        soon("it is back", async || value(&store, "k").await.as_deref() == Some(b"v")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_an_error_within_the_deadline() {
    let server = services::Redis::start().unwrap();
    let store = connect(&server.url(), &prefix(), clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    server.freeze();
    // Longer than a silent connection is kept: replacing it does not work either.
    refuses_every_verb(&store).await;
    server.thaw();
    soon("it is back", async || store.put(at("k"), b"w", Keep::Forever).await.is_ok()).await;
    // What was sent and not answered came later, or not at all; the last write is there.
    assert_eq!(value(&store, "k").await.unwrap(), b"w");
}

/// A network that swallows everything: no end and no refusal is ever seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_network_is_left_while_commands_are_sent_all_the_time() {
    let server = services::Redis::start().unwrap();
    let cut = Cut::before(server.port()).unwrap();
    let (direct, store) = {
        let prefix = prefix();
        (connect(&server.url(), &prefix, clock()).await, connect(&cut.url(&server.url()), &prefix, clock()).await)
    };
    direct.put(at("k"), b"v", Keep::Forever).await.unwrap();
    assert_eq!(value(&store, "k").await.unwrap(), b"v");
    let before = cut.connections();
    cut.freeze();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let called = Instant::now();
        unavailable(&store.get(at("k")).await);
        assert!(called.elapsed() < DEADLINE);
        sleep(Duration::from_millis(10)).await;
    }
    // The old connections are gone for good; only new ones work.
    cut.refuse();
    cut.heal();
    soon("it is back", async || value(&store, "k").await.as_deref() == Some(b"v")).await;
    assert!(before > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_empty_repeats_no_revision() {
    let mut server = services::Redis::start().unwrap();
    let (prefix, clock) = (prefix(), clock());
    let store = connect(&server.url(), &prefix, clock.clone()).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        for _ in 0..50 {
            seen.push(store.put(at("k"), b"v", Keep::Forever).await.unwrap());
        }
        server.kill9();
        server.restart().unwrap();
        soon("it is back", async || matches!(store.get(at("k")).await, Ok(None))).await;
        let stale = *seen.last().unwrap();
        assert!(store.replace(at("k"), stale, b"w", Keep::Forever).await.unwrap().is_none());
        seen.push(store.insert(at("k"), b"v", Keep::Forever).await.unwrap().unwrap());
        // The same through a handle that knows nothing of the first.
        let other = connect(&server.url(), &prefix, clock.clone()).await;
        seen.push(other.put(at("k"), b"v", Keep::Forever).await.unwrap());
        assert!(store.replace(at("k"), stale, b"w", Keep::Forever).await.unwrap().is_none());
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_an_error_and_not_a_wait() {
    let mut server = services::Redis::start().unwrap();
    server.kill9();
    let began = Instant::now();
    let refused = Redis::connect(options(&server.url(), "t"), clock()).await;
    unavailable(&refused);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_says_what_it_is_and_no_secret() {
    let mut server = services::Redis::acl("portico", "hunter2-hunter2", "~* &* +@all").unwrap();
    let store = connect(&server.url(), &prefix(), clock()).await;
    server.kill9();
    let Err(error) = store.get(at("k")).await else { panic!("it is away") };
    let text = format!("{error} {error:?} {:?} {store:?}", error.source());
    assert!(!text.contains("hunter2"), "{text}");
    let wrong = server.url().replace("hunter2-hunter2", "another-secret");
    server.restart().unwrap();
    let Err(error) = Redis::connect(options(&wrong, "t"), clock()).await else { panic!("a wrong password") };
    let text = format!("{error} {error:?} {:?}", error.source());
    assert!(text.contains("WRONGPASS") && !text.contains("another-secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_every_connection() {
    let server = services::Redis::start().unwrap();
    let count = || server.command(&["CLIENT", "LIST"]).unwrap().matches(" addr=127.0.0.1").count();
    let store = connect(&server.url(), &prefix(), clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    assert_eq!(count(), 3, "two for commands and one that listens");
    store.close().await;
    unavailable(&store.get(at("k")).await);
    soon("they are gone", async || count() == 0).await;
    // The last handle ends them as well.
    let store = connect(&server.url(), &prefix(), clock()).await;
    assert_eq!(count(), 3);
    drop(store);
    soon("they are gone", async || count() == 0).await;
}
