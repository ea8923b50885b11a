//! Usage counts through the stream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use model::{BatchId, Clock as _, Id, SeededEntropy, ServerId, TenantId, Timestamp};
use storage::{
    Result, StorageError,
    repo::{Usage, UsageBatch, UsageCount, hour_of},
    usage::{Counters, Delivery, Flusher, UsageQueue, consume},
};
use storage_redis::Redis;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::world::{REDIS, Server, VALKEY, clock, connect, prefix, soon};

fn batch(number: u8) -> UsageBatch {
    let count = UsageCount {
        tenant: Id::from_bytes(&[1; 16]).unwrap(),
        server: Id::from_bytes(&[2; 16]).unwrap(),
        hour: hour_of(clock().now()),
        calls: number.into(),
        errors: 0,
    };
    UsageBatch { id: BatchId::from_bytes(&[number; 16]).unwrap(), counts: vec![count] }
}

/// What comes out within three seconds, without waiting for more than `wanted`.
async fn taken(queue: &dyn UsageQueue, wanted: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    let _ = timeout(Duration::from_secs(3), async {
        while taken.len() < wanted {
            taken.extend(queue.next().await.unwrap());
        }
    })
    .await;
    taken
}

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.batch.counts[0].calls).collect()
}

/// What was taken and not dealt with.
async fn pending(server: &services::Redis) -> Vec<String> {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut ask = redis::cmd("XPENDING");
    ask.arg("portico:usage").arg("portico").arg("-").arg("+").arg(1000);
    let entries: Vec<(String, String, u64, u64)> = ask.query_async(&mut connection).await.unwrap();
    entries.into_iter().map(|(id, ..)| id).collect()
}

/// One batch there and back.
pub(crate) async fn passes(store: &Redis) {
    store.usage_spool().append(&batch(7)).await.unwrap();
    let queue = store.usage_queue("one".to_owned());
    let deliveries = taken(&*queue, 1).await;
    assert_eq!(deliveries[0].batch, batch(7));
    queue.done(&deliveries[0]).await.unwrap();
}

async fn share(server: Server) {
    let store = connect(&server.url(), &prefix(), clock()).await;
    let (spool, one, other) =
        (store.usage_spool(), store.usage_queue("one".to_owned()), store.usage_queue("other".to_owned()));
    for number in 1..=40 {
        spool.append(&batch(number)).await.unwrap();
    }
    let (first, second) = (one.next().await.unwrap(), other.next().await.unwrap());
    assert_eq!(numbers(&first), (1..=16).collect::<Vec<u64>>(), "in order, some at a time");
    assert_eq!(numbers(&second), (17..=32).collect::<Vec<u64>>(), "each to one of them");
    for delivery in first.iter().chain(&second) {
        one.done(delivery).await.unwrap();
    }
    assert_eq!(numbers(&taken(&*one, 8).await), (33..=40).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_share_what_there_is_on_redis() {
    share(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_share_what_there_is_on_valkey() {
    share(VALKEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_consumer_took_goes_to_another() {
    let server = services::Redis::start().unwrap();
    let store = connect(&server.url(), "portico", clock()).await;
    store.usage_spool().append(&batch(1)).await.unwrap();
    let dead = store.usage_queue("dead".to_owned());
    let [taken_and_lost] = &taken(&*dead, 1).await[..] else { panic!("it took one") };
    let living = store.usage_queue("living".to_owned());
    store.usage_spool().append(&batch(2)).await.unwrap();
    let [second] = &taken(&*living, 1).await[..] else { panic!("the first is another's") };
    assert_eq!(second.batch, batch(2));
    living.done(second).await.unwrap();
    // As if two minutes had passed.
    let old = ["XCLAIM", "portico:usage", "portico", "dead", "0", &taken_and_lost.ticket, "IDLE", "120000", "JUSTID"];
    server.command(&old).unwrap();
    let another = store.usage_queue("another".to_owned());
    let [again] = &taken(&*another, 1).await[..] else { panic!("it was left") };
    assert_eq!(again.batch, batch(1));
    another.done(again).await.unwrap();
    // Nothing is left of either.
    assert_eq!(server.command(&["XLEN", "portico:usage"]).unwrap(), ":0\r\n");
    assert!(pending(&server).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_nobody_can_have_written_is_dropped() {
    let server = services::Redis::start().unwrap();
    let store = connect(&server.url(), "portico", clock()).await;
    for (field, text) in [("batch", "{"), ("batch", "{\"id\":1}"), ("other", "x"), ("batch", "\u{fffd}")] {
        server.command(&["XADD", "portico:usage", "*", field, text]).unwrap();
    }
    store.usage_spool().append(&batch(1)).await.unwrap();
    let queue = store.usage_queue("one".to_owned());
    let deliveries = taken(&*queue, 1).await;
    assert_eq!(numbers(&deliveries), [1]);
    assert_eq!(server.command(&["XLEN", "portico:usage"]).unwrap(), ":1\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_is_bounded() {
    let server = services::Redis::start().unwrap();
    let store = connect(&server.url(), "portico", clock()).await;
    let spool = store.usage_spool();
    for number in 0..6000_u32 {
        spool.append(&batch(u8::try_from(number % 256).unwrap())).await.unwrap();
    }
    let length = server.command(&["XLEN", "portico:usage"]).unwrap();
    let length: u32 = length.trim().trim_start_matches(':').parse().unwrap();
    assert!((4000..4200).contains(&length), "{length}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_or_came_back_empty_is_used_again() {
    let mut server = services::Redis::start().unwrap();
    let store = connect(&server.url(), "portico", clock()).await;
    let (spool, queue) = (store.usage_spool(), store.usage_queue("one".to_owned()));
    spool.append(&batch(1)).await.unwrap();
    assert_eq!(numbers(&taken(&*queue, 1).await), [1]);
    server.kill9();
    assert!(matches!(spool.append(&batch(2)).await, Err(StorageError::Unavailable(_))));
    let began = Instant::now();
    assert!(matches!(queue.next().await, Err(StorageError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(9));
    server.restart().unwrap();
    soon("it takes batches", || async { spool.append(&batch(3)).await.is_ok() }).await;
    soon("it gives them", || async { queue.next().await.is_ok_and(|taken| numbers(&taken) == [3]) }).await;
    // While a read waits the data goes, and the group with it.
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next().await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.command(&["FLUSHALL"]).unwrap();
    let _ = waiting.await.unwrap();
    spool.append(&batch(4)).await.unwrap();
    soon("the group is made again", || async { queue.next().await.is_ok_and(|taken| numbers(&taken) == [4]) }).await;
    // Silent instead of away: an error, in a bounded time.
    server.freeze();
    let began = Instant::now();
    assert!(queue.next().await.is_err());
    assert!(began.elapsed() < Duration::from_secs(9));
    server.thaw();
    // The read that was given up still lies before the server, which would give that the next batch, to be
    // reclaimed a minute later. Once it has answered others it has seen that nobody waits any more.
    for _ in 0..3 {
        server.command(&["PING"]).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    spool.append(&batch(5)).await.unwrap();
    soon("it gives them", || async { queue.next().await.is_ok_and(|taken| numbers(&taken).contains(&5)) }).await;
}

/// A database that is away now and then.
#[derive(Debug, Default)]
struct Sums {
    added: Mutex<BTreeMap<BatchId, u64>>,
    asked: Mutex<u32>,
}

impl Sums {
    fn calls(&self) -> u64 {
        self.added.lock().unwrap().values().sum()
    }
}

#[async_trait]
impl Usage for Sums {
    async fn add(&self, batch: &UsageBatch, _: Timestamp) -> Result<bool> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        if *asked % 5 == 3 {
            return Err(StorageError::unavailable("away"));
        }
        let calls = batch.counts.iter().map(|count| count.calls).sum();
        Ok(self.added.lock().unwrap().insert(batch.id, calls).is_none())
    }

    async fn since(&self, _: TenantId, _: ServerId, _: Timestamp) -> Result<Vec<UsageCount>> {
        unreachable!("nothing reads here")
    }

    async fn purge(&self, _: Timestamp, _: u32) -> Result<u64> {
        unreachable!("nothing is cleaned up here")
    }
}

/// From two gateways to one sum, while Redis, the consumers and the database come and go.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_counts_twice() {
    let mut server = services::Redis::safe().unwrap();
    let store = connect(&server.url(), "portico", clock()).await;
    let (sums, tenant) = (Arc::new(Sums::default()), Id::from_bytes(&[1; 16]).unwrap());
    let gateways: Vec<_> = [1, 2]
        .map(|seed| {
            let (counters, entropy) = (Arc::new(Counters::new()), Arc::new(SeededEntropy::new(seed)));
            (Arc::clone(&counters), Flusher::new(counters, store.usage_spool(), clock(), entropy))
        })
        .into();
    let run = |name: String| {
        let (stop, queue) = (CancellationToken::new(), store.usage_queue(name));
        let running = tokio::spawn(consume(queue, sums.clone(), clock(), stop.clone()));
        (stop, running)
    };
    let mut counted = 0;
    let mut gateways = gateways;
    for round in 0..6_u8 {
        let consumer = run(format!("consumer-{round}"));
        for (counters, flusher) in &mut gateways {
            for call in 0..100_u8 {
                counters.call(tenant, Id::from_bytes(&[call % 10; 16]).unwrap());
                counted += 1;
            }
            flusher.flush().await;
        }
        if round == 2 {
            server.kill9();
            for (counters, flusher) in &mut gateways {
                counters.call(tenant, Id::from_bytes(&[0; 16]).unwrap());
                counted += 1;
                flusher.flush().await;
            }
            server.restart().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        consumer.0.cancel();
        consumer.1.await.unwrap();
        // What it took with it is old by now.
        for id in pending(&server).await {
            server
                .command(&["XCLAIM", "portico:usage", "portico", "gone", "0", &id, "IDLE", "120000", "JUSTID"])
                .unwrap();
        }
    }
    let (stop, running) = run("last".to_owned());
    soon("everything arrives", async || {
        for (_, flusher) in &mut gateways {
            flusher.flush().await;
        }
        sums.calls() >= counted
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(sums.calls(), counted);
}
