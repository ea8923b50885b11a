//! What lies in Redis, seen by a client of another make.

use std::time::Duration;

use model::Clock as _;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use storage::{Keep, KeyValue as _, Owner, Place, Sealed, conformance};

use crate::world::{REDIS, Server, THINGS, VALKEY, at, clock, connect, prefix, soon};

async fn observer(server: Server) -> MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// All keys that a pattern fits.
async fn keys(observer: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut scan = observer.scan_match::<_, String>(pattern).await.unwrap();
    while let Some(key) = scan.next_item().await {
        found.push(key.unwrap());
    }
    found.sort();
    found
}

async fn sees_no_plain_text(server: Server) {
    let (ours, clock) = (prefix(), clock());
    let store = connect(&server.url(), &ours, clock.clone()).await;
    let plain = connect(&server.url(), &format!("{ours}-plain"), clock.clone()).await;
    let sealed = Sealed::new(store, conformance::sealer().await);
    let secret = b"needle-in-the-haystack";
    let until = Keep::Until(clock.now() + Duration::from_hours(1));
    let tenant = Owner::Tenant(model::Id::from_bytes(&[7; 16]).unwrap());
    plain.put(at("put"), secret, until).await.unwrap();
    let first = sealed.put(at("put"), secret, until).await.unwrap();
    sealed.insert(Place { owner: tenant, ..at("insert") }, secret, Keep::Forever).await.unwrap();
    sealed.replace(at("put"), first, secret, until).await.unwrap().unwrap();

    let mut observer = observer(server).await;
    let mut holding = Vec::new();
    for key in keys(&mut observer, &format!("{ours}*")).await {
        let bytes: Vec<u8> = observer.get(&key).await.unwrap();
        if key.contains("needle") || bytes.windows(secret.len()).any(|window| window == secret) {
            holding.push(key);
        }
    }
    assert_eq!(holding, [format!("{ours}-plain:value:platform:things:put")], "the search finds what is there, only");
    let all = keys(&mut observer, &format!("{ours}:*")).await;
    assert_eq!(all, [format!("{ours}:value:platform:things:put"), format!("{ours}:value:{tenant}:things:insert"),]);
    let ttl: i64 = observer.pttl(&all[0]).await.unwrap();
    assert!((3_600_000..=4_200_000).contains(&ttl), "an hour and some slack: {ttl}");
    assert_eq!(observer.pttl::<_, i64>(&all[1]).await.unwrap(), -1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sees_no_plain_text_in_redis() {
    sees_no_plain_text(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sees_no_plain_text_in_valkey() {
    sees_no_plain_text(VALKEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_some_time_after_they_expired_and_not_before() {
    let (ours, clock) = (prefix(), clock());
    let store = connect(&REDIS.url(), &ours, clock.clone()).await;
    // Long ago by our clock: absent, and Redis still has some minutes to forget it.
    store.put(at("old"), b"v", Keep::Until(model::Timestamp::from_seconds(1))).await.unwrap();
    assert!(store.get(at("old")).await.unwrap().is_none());
    let ttl: i64 = observer(REDIS).await.pttl(format!("{ours}:value:platform:things:old")).await.unwrap();
    assert!((500_000..=600_000).contains(&ttl), "{ttl}");
    // The end of time is no moment that Redis takes.
    let end = Keep::Until(model::Timestamp::from_millis(i64::MAX));
    store.put(at("late"), b"v", end).await.unwrap();
    assert_eq!(store.get(at("late")).await.unwrap().unwrap().keep, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_any_bytes() {
    let store = connect(&REDIS.url(), &prefix(), clock()).await;
    let all: Vec<u8> = (0..=255).collect();
    for value in [&b""[..], b"\0", b"\r\n$-1\r\n", &all, &vec![0xff; 1 << 20]] {
        store.put(at("k"), value, Keep::Forever).await.unwrap();
        let entry = store.get(at("k")).await.unwrap().unwrap();
        assert!(entry.value.as_slice() == value);
    }
    for key in ["", ":", "a b", "ä\n", "{x}y", "*"] {
        store.put(at(key), key.as_bytes(), Keep::Forever).await.unwrap();
    }
    for key in ["", ":", "a b", "ä\n", "{x}y", "*"] {
        assert_eq!(store.take(at(key)).await.unwrap().unwrap().value.as_slice(), key.as_bytes());
    }
}

/// A server that forgot its scripts gets them again, in the middle of everything.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_were_forgotten_are_sent_again() {
    // Of its own: others would lose their scripts as well, which is what the test is about, but not theirs.
    let server = services::Redis::start().unwrap();
    let store = connect(&server.url(), &prefix(), clock()).await;
    let mut revision = store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    for _ in 0..3 {
        assert_eq!(server.command(&["SCRIPT", "FLUSH"]).unwrap(), "+OK\r\n");
        revision = store.replace(at("k"), revision, b"w", Keep::Forever).await.unwrap().unwrap();
        assert!(store.insert(at("k"), b"w", Keep::Forever).await.unwrap().is_none());
    }
    // The text goes over once, then its hash again.
    let evals = |of: &str| {
        let stats = server.command(&["INFO", "commandstats"]).unwrap();
        stats.lines().find(|line| line.starts_with(of)).map_or(0, |line| {
            let calls = line.split("calls=").nth(1).unwrap().split(',').next().unwrap();
            calls.parse::<u32>().unwrap()
        })
    };
    assert_eq!(evals("cmdstat_eval:"), 4);
    assert!(evals("cmdstat_evalsha:") >= 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_of_the_prefix_is_touched() {
    let server = services::Redis::start().unwrap();
    // A neighbour whose names begin alike, and one whose are patterns.
    for key in ["portico2:value:platform:things:k", "portic", "other", "portico:value", "*"] {
        server.command(&["SET", key, "theirs"]).unwrap();
    }
    let store = connect(&server.url(), "portico", clock()).await;
    for key in ["k", "", "*"] {
        store.put(at(key), b"ours", Keep::Forever).await.unwrap();
        store.delete(at(key)).await.unwrap();
        assert!(store.insert(at(key), b"ours", Keep::Forever).await.unwrap().is_some());
        store.take(at(key)).await.unwrap().unwrap();
    }
    assert_eq!(server.command(&["DBSIZE"]).unwrap(), ":5\r\n");
    for key in ["portico2:value:platform:things:k", "portic", "other", "portico:value", "*"] {
        assert_eq!(server.command(&["GET", key]).unwrap(), "$6\r\ntheirs\r\n", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_entry_is_damaged_and_not_absent() {
    let server = services::Redis::start().unwrap();
    let store = connect(&server.url(), "portico", clock()).await;
    let damaged = |answer: storage::Result<Option<storage::Entry>>| matches!(answer, Err(storage::StorageError::Damaged { place, .. }) if place == THINGS.name);
    let key = "portico:value:platform:things:k";
    server.command(&["SET", key, "short"]).unwrap();
    assert!(damaged(store.get(at("k")).await));
    server.command(&["SET", key, "of another layout, and long enough"]).unwrap();
    assert!(damaged(store.get(at("k")).await));
    assert!(damaged(store.take(at("k")).await));
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    soon("it is whole", async || store.get(at("k")).await.is_ok_and(|entry| entry.is_some())).await;
}
