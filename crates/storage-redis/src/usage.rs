//! Usage counts on their way from gateways to the database: a stream, and one group of consumers.
//!
//! The blocking reads have a connection of their own, of another client than everything else: on one that is
//! shared they would hold up whoever comes after them.

mod wire;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use fred::{interfaces::StreamsInterface as _, types::streams::XCap};
use redis::{
    Cmd, FromRedisValue, RedisResult, cmd,
    streams::{StreamAutoClaimReply, StreamId, StreamInfoConsumersReply, StreamReadReply},
};
use storage::{
    Result, StorageError,
    repo::UsageBatch,
    usage::{Delivery, UsageQueue, UsageSpool},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use self::wire::Wire;
use crate::{Inner, Redis, RedisOptions};

/// How many batches wait at most; the oldest go first.
const LONGEST: u32 = 4000;
/// How many a consumer takes at a time.
const TAKEN: u32 = 16;
/// How long a read waits for something to come.
const BLOCK: Duration = Duration::from_secs(5);
/// How much longer it may take until the server says that nothing came.
const GRACE: Duration = Duration::from_secs(3);
/// How often a consumer looks for what others took and did not deal with.
const CLAIM: Duration = Duration::from_secs(30);
/// How long ago it was taken, then.
const IDLE: Duration = Duration::from_mins(1);
/// After how long a consumer that never came back is forgotten.
const GONE: Duration = Duration::from_hours(1);

const GROUP: &str = "portico";
const FIELD: &str = "batch";

impl Redis {
    /// Where gateways send their counts.
    pub fn usage_spool(&self) -> Arc<dyn UsageSpool> {
        Arc::new(Spool(Arc::clone(&self.0)))
    }

    /// Where counts come out. `consumer` is a name that no other process has.
    pub fn usage_queue(&self, consumer: String) -> Arc<dyn UsageQueue> {
        let state = Mutex::new(State { wire: None, claim: "0-0".to_owned(), claim_at: Instant::now() });
        Arc::new(Queue { options: self.0.options.clone(), stream: self.0.keys.usage(), consumer, state })
    }
}

/// Appends over the connections that everything else goes over.
struct Spool(Arc<Inner>);

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spool")
    }
}

#[async_trait]
impl UsageSpool for Spool {
    async fn append(&self, batch: &UsageBatch) -> Result<()> {
        let text = serde_json::to_string(batch).map_err(|_| StorageError::damaged("usage", "it cannot be written"))?;
        let cap = XCap::try_from(("MAXLEN", "~", i64::from(LONGEST))).expect("a constant that fits");
        let stream = self.0.keys.usage();
        self.0.pool.run(async |line| line.xadd(stream.as_str(), false, cap, "*", vec![(FIELD, text)]).await).await
    }
}

/// One consumer of the group.
struct Queue {
    options: RedisOptions,
    stream: String,
    consumer: String,
    state: Mutex<State>,
}

struct State {
    /// None before the first call, and after a failure.
    wire: Option<Wire>,
    /// Where to look on for what others did not deal with, and when.
    claim: String,
    claim_at: Instant,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

impl Queue {
    /// Asks over the connection, which is made if there is none, and dropped when it fails.
    async fn ask<R: FromRedisValue>(&self, state: &mut State, command: &Cmd) -> Result<R> {
        let asked = timeout(BLOCK + GRACE, async {
            if state.wire.is_none() {
                let mut wire = Wire::open(&self.options).await?;
                self.make_group(&mut wire).await?;
                state.wire = Some(wire);
            }
            let wire = state.wire.as_mut().expect("it was made");
            match wire.ask(command).await {
                // The stream is gone, and the group with it: a server that came back empty.
                Err(error) if error.code() == Some("NOGROUP") => {
                    self.make_group(wire).await?;
                    wire.ask(command).await
                }
                answer => answer,
            }
        });
        let answer = asked.await.unwrap_or_else(|_| Err((redis::ErrorKind::Io, "no answer in time").into()));
        let parsed = answer.and_then(|value| Ok(R::from_redis_value(value)?));
        if parsed.is_err() {
            state.wire = None;
        }
        parsed.map_err(StorageError::unavailable)
    }

    async fn make_group(&self, wire: &mut Wire) -> RedisResult<()> {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match wire.ask(&create).await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// What comes next of what nobody has taken.
    async fn read(&self, state: &mut State) -> Result<Vec<StreamId>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(TAKEN);
        read.arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(&self.stream).arg(">");
        let reply: Option<StreamReadReply> = self.ask(state, &read).await?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    /// What others took, or we did, and nobody dealt with.
    async fn claim(&self, state: &mut State) -> Result<Vec<StreamId>> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(&self.stream).arg(GROUP).arg(&self.consumer).arg(millis(IDLE)).arg(&state.claim);
        claim.arg("COUNT").arg(TAKEN);
        let reply: StreamAutoClaimReply = self.ask(state, &claim).await?;
        if reply.next_stream_id == "0-0" {
            state.claim_at = Instant::now() + CLAIM;
            self.forget(state).await?;
        }
        state.claim = reply.next_stream_id;
        Ok(reply.claimed)
    }

    /// Forgets consumers that are gone and took nothing with them.
    async fn forget(&self, state: &mut State) -> Result<()> {
        let mut list = cmd("XINFO");
        list.arg("CONSUMERS").arg(&self.stream).arg(GROUP);
        let reply: StreamInfoConsumersReply = self.ask(state, &list).await?;
        for other in reply.consumers {
            if other.pending == 0 && other.idle as u128 > GONE.as_millis() && other.name != self.consumer {
                let mut forget = cmd("XGROUP");
                forget.arg("DELCONSUMER").arg(&self.stream).arg(GROUP).arg(other.name);
                self.ask::<i64>(state, &forget).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, state: &mut State, id: &str) -> Result<()> {
        for verb in [&["XACK", self.stream.as_str(), GROUP][..], &["XDEL", self.stream.as_str()]] {
            let mut command = cmd(verb[0]);
            command.arg(&verb[1..]).arg(id);
            self.ask::<i64>(state, &command).await?;
        }
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a constant that fits")
}

/// What an entry holds; none if nobody of this version can have written it.
fn parse(entry: &StreamId) -> Option<UsageBatch> {
    let text: String = entry.get(FIELD)?;
    serde_json::from_str(&text).ok()
}

#[async_trait]
impl UsageQueue for Queue {
    async fn next(&self) -> Result<Vec<Delivery>> {
        let mut state = self.state.lock().await;
        let mut entries = Vec::new();
        if state.claim_at <= Instant::now() {
            entries = self.claim(&mut state).await?;
        }
        if entries.is_empty() {
            entries = self.read(&mut state).await?;
        }
        let mut deliveries = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(batch) = parse(&entry) {
                deliveries.push(Delivery { ticket: entry.id, batch });
            } else {
                tracing::error!(entry.id, "an entry of the usage stream does not parse and was dropped");
                self.remove(&mut state, &entry.id).await?;
            }
        }
        Ok(deliveries)
    }

    async fn done(&self, delivery: &Delivery) -> Result<()> {
        let mut state = self.state.lock().await;
        self.remove(&mut state, &delivery.ticket).await
    }
}
