use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
    thread,
    time::Duration,
};

use model::{BatchId, Id, ManualClock, SeededEntropy, ServerId, TenantId, Timestamp};

use super::*;
use crate::repo::{UsageCount, hour_of};

fn tenant() -> TenantId {
    Id::from_bytes(&[1; 16]).unwrap()
}

fn server(number: u32) -> ServerId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(&bytes).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)))
}

/// A spool and queue, and a database, that fail when they are told to.
#[derive(Debug, Default)]
struct Fake {
    away: Mutex<bool>,
    /// An append fails after it was done.
    liar: Mutex<bool>,
    sent: Mutex<VecDeque<UsageBatch>>,
    done: Mutex<Vec<String>>,
    added: Mutex<BTreeMap<BatchId, UsageBatch>>,
    refused: Mutex<Option<StorageError>>,
}

impl Fake {
    fn check(&self) -> Result<()> {
        if *self.away.lock().unwrap() { Err(StorageError::unavailable("away")) } else { Ok(()) }
    }

    fn calls(&self) -> u64 {
        self.sent.lock().unwrap().iter().flat_map(|batch| &batch.counts).map(|count| count.calls).sum()
    }
}

#[async_trait]
impl UsageSpool for Fake {
    async fn append(&self, batch: &UsageBatch) -> Result<()> {
        self.check()?;
        self.sent.lock().unwrap().push_back(batch.clone());
        if *self.liar.lock().unwrap() { Err(StorageError::unavailable("late")) } else { Ok(()) }
    }
}

#[async_trait]
impl UsageQueue for Fake {
    async fn next(&self) -> Result<Vec<Delivery>> {
        self.check()?;
        let batch = self.sent.lock().unwrap().pop_front();
        if batch.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(batch.map(|batch| Delivery { ticket: batch.id.to_string(), batch }).into_iter().collect())
    }

    async fn done(&self, delivery: &Delivery) -> Result<()> {
        self.done.lock().unwrap().push(delivery.ticket.clone());
        Ok(())
    }
}

#[async_trait]
impl Usage for Fake {
    async fn add(&self, batch: &UsageBatch, _: Timestamp) -> Result<bool> {
        if let Some(error) = self.refused.lock().unwrap().take() {
            return Err(error);
        }
        Ok(self.added.lock().unwrap().insert(batch.id, batch.clone()).is_none())
    }

    async fn since(&self, _: TenantId, _: ServerId, _: Timestamp) -> Result<Vec<UsageCount>> {
        unreachable!("nothing reads here")
    }

    async fn purge(&self, _: Timestamp, _: u32) -> Result<u64> {
        unreachable!("nothing is cleaned up here")
    }
}

fn flusher(counters: &Arc<Counters>, spool: &Arc<Fake>, clock: &Arc<ManualClock>) -> Flusher {
    Flusher::new(Arc::clone(counters), spool.clone(), clock.clone(), Arc::new(SeededEntropy::new(1)))
}

#[test]
fn every_thread_is_counted_while_counts_are_taken() {
    let counters = Arc::new(Counters::new());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let counters = Arc::clone(&counters);
            thread::spawn(move || {
                for call in 0..10_000 {
                    counters.call(tenant(), server(call % 7));
                    if call % 10 == 0 {
                        counters.error(tenant(), server(thread));
                    }
                }
            })
        })
        .collect();
    let (mut calls, mut errors) = (0, 0);
    let mut take = || {
        for tally in counters.take().into_values() {
            assert_eq!(tally.tenant, tenant());
            calls += tally.calls;
            errors += tally.errors;
        }
    };
    while threads.iter().any(|thread| !thread.is_finished()) {
        take();
    }
    take();
    assert_eq!((calls, errors), (80_000, 8_000));
    assert!(counters.take().is_empty());
}

#[tokio::test]
async fn counts_go_by_server_and_hour() {
    let (counters, spool, clock) = (Arc::new(Counters::new()), Arc::new(Fake::default()), clock());
    let mut flusher = flusher(&counters, &spool, &clock);
    flusher.flush().await;
    assert!(spool.sent.lock().unwrap().is_empty(), "nothing is not sent");
    counters.call(tenant(), server(1));
    counters.call(tenant(), server(1));
    counters.error(tenant(), server(1));
    flusher.flush().await;
    let hour = hour_of(clock.now());
    let first = spool.sent.lock().unwrap()[0].clone();
    assert_eq!(first.counts, [UsageCount { tenant: tenant(), server: server(1), hour, calls: 2, errors: 1 }]);
    clock.advance(Duration::from_hours(1));
    counters.call(tenant(), server(1));
    flusher.flush().await;
    let second = spool.sent.lock().unwrap()[1].clone();
    assert_eq!((second.counts[0].hour, second.counts[0].calls), (hour + Duration::from_hours(1), 1));
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn what_cannot_be_sent_is_kept_and_sent_with_the_id_it_had() {
    let (counters, spool, clock) = (Arc::new(Counters::new()), Arc::new(Fake::default()), clock());
    let mut flusher = flusher(&counters, &spool, &clock);
    counters.call(tenant(), server(1));
    *spool.liar.lock().unwrap() = true;
    flusher.flush().await;
    *spool.away.lock().unwrap() = true;
    for _ in 0..5 {
        counters.call(tenant(), server(1));
        counters.call(tenant(), server(2));
        flusher.flush().await;
    }
    (*spool.away.lock().unwrap(), *spool.liar.lock().unwrap()) = (false, false);
    flusher.flush().await;
    let sent: Vec<_> = spool.sent.lock().unwrap().iter().cloned().collect();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert_eq!(sent[0], sent[1], "it arrived, and we did not know");
    assert_ne!(sent[1].id, sent[2].id);
    let calls: Vec<_> = sent[2].counts.iter().map(|count| count.calls).collect();
    assert_eq!(calls, [5, 5]);
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let (counters, spool, clock) = (Arc::new(Counters::new()), Arc::new(Fake::default()), clock());
    let mut flusher = flusher(&counters, &spool, &clock);
    *spool.away.lock().unwrap() = true;
    for number in 0..150_000 {
        counters.call(tenant(), server(number));
        if number % 10_000 == 0 {
            flusher.flush().await;
        }
    }
    flusher.flush().await;
    // Those that are kept still count.
    for _ in 0..3 {
        counters.call(tenant(), server(1));
        flusher.flush().await;
    }
    *spool.away.lock().unwrap() = false;
    flusher.flush().await;
    let calls = spool.calls();
    assert!((100_003..=102_000).contains(&calls), "{calls}");
    assert!(spool.sent.lock().unwrap().iter().all(|batch| batch.counts.len() <= 250));
}

#[tokio::test(start_paused = true)]
async fn it_is_sent_every_few_seconds_and_once_more_at_the_end() {
    let (counters, spool, clock) = (Arc::new(Counters::new()), Arc::new(Fake::default()), clock());
    let stop = CancellationToken::new();
    let running = tokio::spawn(flusher(&counters, &spool, &clock).run(stop.clone()));
    counters.call(tenant(), server(1));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(spool.calls(), 1);
    counters.call(tenant(), server(1));
    stop.cancel();
    running.await.unwrap();
    assert_eq!(spool.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_comes_out_is_added_and_then_marked() {
    let (fake, clock, stop) = (Arc::new(Fake::default()), clock(), CancellationToken::new());
    let batch = |number: u32| UsageBatch { id: BatchId::from_uuid(server(number).uuid()), counts: Vec::new() };
    for number in [1, 2, 1, 3] {
        fake.sent.lock().unwrap().push_back(batch(number));
    }
    *fake.refused.lock().unwrap() = Some(StorageError::unavailable("away"));
    let running = tokio::spawn(consume(fake.clone(), fake.clone(), clock, stop.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(fake.added.lock().unwrap().len(), 3);
    assert_eq!(fake.done.lock().unwrap().len(), 4);
    // One that is refused for good does not stop the others; an outage does for as long as it is one.
    *fake.refused.lock().unwrap() = Some(StorageError::damaged("usage", "for good"));
    fake.append(&batch(4)).await.unwrap();
    *fake.away.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_secs(3)).await;
    *fake.away.lock().unwrap() = false;
    fake.append(&batch(5)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(fake.done.lock().unwrap().len(), 6);
    assert!(!fake.added.lock().unwrap().contains_key(&batch(4).id));
    assert!(fake.added.lock().unwrap().contains_key(&batch(5).id));
    stop.cancel();
    running.await.unwrap();
}
