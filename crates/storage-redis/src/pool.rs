//! Connections that open again by themselves, and calls that never wait long.
//!
//! fred can reconnect by itself as well. It gives up for good on some errors, and does not notice that a
//! server is silent while commands are still written to it; so each connection here has a task that makes
//! a new one whenever the old one ended or was silent.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fred::{
    clients::{Client, WithOptions},
    error::{Error, ErrorKind},
    interfaces::ClientLike,
    types::{
        Builder, ConnectHandle,
        config::{Config, Options},
    },
};
use storage::Result;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::failure::failed;

/// No caller waits longer for an answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
/// No attempt to connect takes longer.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection that answered nothing for so long, although it was asked, is replaced.
const SILENCE: Duration = Duration::from_secs(3);
/// How long to wait before the first attempt to connect again, and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What carries a command: a connection on which nothing is queued while it is away, and nothing repeated.
pub(crate) type Line = WithOptions<Client>;

/// The connections.
#[derive(Debug)]
pub(crate) struct Pool {
    lanes: Vec<Arc<Lane>>,
    next: AtomicUsize,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// One connection, and its successors.
#[derive(Debug, Default)]
struct Lane {
    state: Mutex<State>,
    replace: Notify,
}

#[derive(Default)]
struct State {
    line: Option<Line>,
    /// Since when it was asked and has not answered.
    silent: Option<Instant>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("open", &self.line.is_some()).field("silent", &self.silent).finish()
    }
}

impl Pool {
    /// Opens all connections, or fails if one of them cannot be opened.
    pub(crate) async fn connect(config: Config, size: usize) -> Result<Self> {
        let stop = CancellationToken::new();
        let mut opened = Vec::with_capacity(size);
        for _ in 0..size {
            opened.push(open(&config).await?);
        }
        let (mut lanes, tasks) = (Vec::with_capacity(size), TaskTracker::new());
        for connection in opened {
            let lane = Arc::new(Lane::default());
            lane.set(Some(line(&connection.client)));
            tasks.spawn(keep(Arc::clone(&lane), config.clone(), connection, stop.clone()));
            lanes.push(lane);
        }
        tasks.close();
        Ok(Self { lanes, next: AtomicUsize::new(0), stop, tasks })
    }

    /// Makes a call on one of the connections. It was done, or it fails; when it fails after it was sent, it
    /// may have been done.
    pub(crate) async fn run<R>(&self, call: impl AsyncFnOnce(&Line) -> std::result::Result<R, Error>) -> Result<R> {
        let (lane, open) = self.pick().ok_or_else(|| failed(Error::new(ErrorKind::IO, "no connection is open")))?;
        let answer = match timeout(DEADLINE, call(&open)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer in time")),
        };
        lane.heard(!matches!(&answer, Err(error) if *error.kind() == ErrorKind::Timeout));
        answer.map_err(failed)
    }

    /// The next connection that is open.
    fn pick(&self) -> Option<(&Lane, Line)> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.lanes.len()).find_map(|step| {
            let lane = &*self.lanes[first.wrapping_add(step) % self.lanes.len()];
            Some((lane, lane.line()?))
        })
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Lane {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn line(&self) -> Option<Line> {
        self.state().line.clone().filter(ClientLike::is_connected)
    }

    fn set(&self, line: Option<Line>) {
        *self.state() = State { line, silent: None };
    }

    /// Notes whether there was an answer.
    fn heard(&self, answered: bool) {
        let mut state = self.state();
        if answered {
            state.silent = None;
            return;
        }
        let now = Instant::now();
        if now.duration_since(*state.silent.get_or_insert(now)) >= SILENCE {
            state.silent = None;
            self.replace.notify_one();
        }
    }
}

/// A client, and the task that drives it. The task ends with the connection.
pub(crate) struct Connection<C = Client> {
    pub(crate) client: C,
    pub(crate) task: ConnectHandle,
}

impl<C> Drop for Connection<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn line(client: &Client) -> Line {
    let options = Options { fail_fast: true, max_attempts: Some(1), timeout: Some(DEADLINE), ..Options::default() };
    client.with_options(&options)
}

async fn open(config: &Config) -> Result<Connection> {
    start(builder(config).build().map_err(failed)?).await
}

/// A maker of clients that do not reconnect.
pub(crate) fn builder(config: &Config) -> Builder {
    let mut builder = Builder::from_config(config.clone());
    builder.with_connection_config(|connection| {
        connection.connection_timeout = CONNECT;
        connection.internal_command_timeout = CONNECT;
        connection.max_command_attempts = 1;
        connection.tcp.nodelay = Some(true);
    });
    builder
}

/// Connects a client.
pub(crate) async fn start<C: ClientLike>(client: C) -> Result<Connection<C>> {
    let task = client.connect();
    let mut connection = Connection { client, task };
    // The first command waits for the connection.
    let pong = timeout(2 * CONNECT, connection.client.ping::<()>(None));
    let opened = tokio::select! {
        biased;
        ended = &mut connection.task => Err(match ended {
            Ok(Err(error)) => error,
            _ => Error::new(ErrorKind::IO, "the connection ended at once"),
        }),
        pong = pong => match pong {
            Ok(pong) => pong.map(|()| connection),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "no connection in time")),
        },
    };
    opened.map_err(failed)
}

/// Keeps a lane open.
async fn keep(lane: Arc<Lane>, config: Config, mut connection: Connection, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = &mut connection.task => {}
            () = lane.replace.notified() => tracing::warn!("a connection to Redis was silent and is replaced"),
        }
        lane.set(None);
        drop(connection);
        let Some(next) = until_open(&stop, async || open(&config).await).await else { break };
        connection = next;
        lane.set(Some(line(&connection.client)));
    }
    lane.set(None);
}

/// Tries until it works; `None` when it is to stop.
pub(crate) async fn until_open<C, F>(stop: &CancellationToken, open: impl Fn() -> F) -> Option<C>
where
    F: Future<Output = Result<C>>,
{
    let (mut wait, longest) = WAITS;
    loop {
        let opened = async {
            sleep(wait).await;
            open().await
        };
        let opened = tokio::select! {
            () = stop.cancelled() => return None,
            opened = opened => opened,
        };
        match opened {
            Ok(connection) => return Some(connection),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "Redis is away"),
        }
        wait = (wait * 2).min(longest);
    }
}
