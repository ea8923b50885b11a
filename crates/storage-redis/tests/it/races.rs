//! One winner among callers of two handles, which share nothing but the server.

use std::sync::Arc;

use storage::{Keep, KeyValue as _};
use storage_redis::Redis;
use tokio::{sync::Barrier, task::JoinSet};

use crate::world::{REDIS, Server, VALKEY, at, clock, connect, prefix};

const CALLERS: usize = 32;
const ROUNDS: usize = 50;

/// How many callers of both handles get it, when all start at once.
async fn winners<F: Future<Output = bool> + Send + 'static>(
    handles: &[Redis; 2],
    call: impl Fn(Redis, usize) -> F,
) -> usize {
    let start = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (call, start) = (call(handles[caller % 2].clone(), caller), Arc::clone(&start));
        callers.spawn(async move {
            start.wait().await;
            call.await
        });
    }
    callers.join_all().await.into_iter().filter(|won| *won).count()
}

async fn one_wins(server: Server) {
    let (url, prefix) = (server.url(), prefix());
    let handles = [connect(&url, &prefix, clock()).await, connect(&url, &prefix, clock()).await];
    for round in 0..ROUNDS {
        let key: Arc<str> = format!("k{round}").into();
        let inserted = winners(&handles, |store, caller| {
            let key = Arc::clone(&key);
            async move { store.insert(at(&key), &caller.to_be_bytes(), Keep::Forever).await.unwrap().is_some() }
        });
        assert_eq!(inserted.await, 1, "insert, round {round}");
        let seen = handles[0].get(at(&key)).await.unwrap().unwrap().revision;
        let replaced = winners(&handles, |store, _| {
            let key = Arc::clone(&key);
            async move { store.replace(at(&key), seen, b"w", Keep::Forever).await.unwrap().is_some() }
        });
        assert_eq!(replaced.await, 1, "replace, round {round}");
        let taken = winners(&handles, |store, _| {
            let key = Arc::clone(&key);
            async move { store.take(at(&key)).await.unwrap().is_some() }
        });
        assert_eq!(taken.await, 1, "take, round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wins_on_redis() {
    one_wins(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wins_on_valkey() {
    one_wins(VALKEY).await;
}
