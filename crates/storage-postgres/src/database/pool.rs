//! Connections that are free.
//!
//! Our own rather than sqlx's pool, whose connections are tested without a deadline when they come back: a
//! server that freezes then takes the whole pool with it until the operating system gives up, and some of
//! it for good. Here nothing waits without a deadline, and what is doubtful is closed.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use storage::Result;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::lease::Lease;
use crate::options::PostgresOptions;

/// For how long a connection is taken for alive without asking.
const TRUSTED: Duration = Duration::from_millis(100);
/// How long a connection may take to say that it is alive.
const PING: Duration = Duration::from_millis(500);
/// How long a connection may lie unused.
const IDLE: Duration = Duration::from_mins(10);
/// How old a connection may get: its memory at the server grows, and addresses move.
const LIFE: Duration = Duration::from_mins(30);
/// How long closing waits for running calls.
const CLOSING: Duration = Duration::from_secs(5);

pub(super) struct Pool {
    options: PgConnectOptions,
    size: u32,
    acquire: Duration,
    deadline: Duration,
    permits: Arc<Semaphore>,
    free: Mutex<Free>,
}

/// The free connections, the one used last at the end.
#[derive(Default)]
struct Free {
    /// Counts the times that a connection was found broken. Those opened before are not used again: when a
    /// server dies, all of its connections do.
    era: u64,
    connections: Vec<Resting>,
}

struct Resting {
    held: Held,
    since: Instant,
}

/// A connection with its history.
pub(super) struct Held {
    pub(super) connection: PgConnection,
    era: u64,
    opened: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self> {
        let size = options.max_connections.max(1);
        Ok(Self {
            options: options.hasty()?,
            size,
            acquire: options.acquire,
            deadline: options.deadline,
            permits: Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS))),
            free: Mutex::default(),
        })
    }

    /// A connection for one operation, whose time begins now.
    pub(super) async fn lease(self: &Arc<Self>) -> sqlx::Result<Lease> {
        let begun = Instant::now();
        let (held, permit) = timeout(self.acquire, self.held()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(Lease::new(self.clone(), held, permit, begun + self.deadline))
    }

    async fn held(&self) -> sqlx::Result<(Held, OwnedSemaphorePermit)> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        loop {
            // The lock is held for the moment of this line.
            let popped = self.free().connections.pop();
            let Some(mut resting) = popped else { break };
            if resting.since.elapsed() < TRUSTED || lives(&mut resting.held.connection).await {
                return Ok((resting.held, permit));
            }
            self.distrust(&resting.held);
        }
        let era = self.free().era;
        let connection = self.options.connect().await?;
        Ok((Held { connection, era, opened: Instant::now() }, permit))
    }

    /// Takes back a connection that is known to be well and in no transaction.
    pub(super) fn give_back(&self, held: Held) {
        let now = Instant::now();
        let mut free = self.free();
        let stale = held.era != free.era || now - held.opened > LIFE || self.permits.is_closed();
        if !stale {
            free.connections.push(Resting { held, since: now });
        }
        // The first has lain longest. One at a time is enough, since each use may close one.
        if free.connections.first().is_some_and(|first| now - first.since > IDLE) {
            free.connections.remove(0);
        }
    }

    /// Notes that a connection was found broken: those of its time are closed rather than tried one by
    /// one, each at the cost of somebody's call.
    pub(super) fn distrust(&self, held: &Held) {
        let mut free = self.free();
        if held.era == free.era {
            free.era += 1;
            free.connections.clear();
        }
    }

    /// Lets nobody in, waits for those inside, closes.
    pub(super) async fn close(&self) {
        let inside = timeout(CLOSING, self.permits.acquire_many(self.size)).await;
        self.permits.close();
        drop(inside);
        let free = std::mem::take(&mut self.free().connections);
        for resting in free {
            // Whether the farewell arrives does not matter.
            let _ = timeout(PING, resting.held.connection.close()).await;
        }
    }

    #[cfg(test)]
    pub(super) fn available(&self) -> usize {
        self.permits.available_permits()
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        // Nothing that could panic happens under the lock half-way through a change.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection answers.
async fn lives(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING, connection.ping()).await, Ok(Ok(())))
}
