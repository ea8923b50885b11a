//! What is there and what is away: asked every second, told to whoever asks `/readyz`.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures_util::future::join_all;
use http::{StatusCode, header};
use http_kit::AWAY;
use model::{Clock, Timestamp};
use storage::{Collection, Durability, Follower, Owner, Place};
use tokio_util::sync::CancellationToken;

use crate::store::{Backend, Probe};

/// How often backends are asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take: shorter than the backends' own deadlines, so that `/readyz` is not late.
const PATIENCE: Duration = Duration::from_secs(3);

/// Knows which backends are away and how old the snapshots are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backends: Vec<Watched>,
    follower: Arc<Follower>,
    clock: Arc<dyn Clock>,
    /// How old the snapshots may be.
    stale: Duration,
}

#[derive(Debug)]
struct Watched {
    backend: Backend,
    /// In milliseconds since 1970; 0 while it is there.
    away_since: AtomicI64,
}

impl Health {
    /// Everything is there: it was connected to just now.
    pub(crate) fn new(backends: Vec<Backend>, follower: Arc<Follower>, clock: Arc<dyn Clock>, stale: Duration) -> Self {
        let watched = |backend| Watched { backend, away_since: AtomicI64::new(0) };
        Self(Arc::new(Inner { backends: backends.into_iter().map(watched).collect(), follower, clock, stale }))
    }

    /// Asks every second until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            self.look().await;
        }
    }

    /// Asks every backend once.
    pub async fn look(&self) {
        join_all(self.0.backends.iter().map(|watched| watched.look(&*self.0.clock))).await;
    }

    /// What is away, and since when.
    fn away(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let since = |watched: &Watched| watched.away_since.load(Ordering::Relaxed);
        let away = self.0.backends.iter().map(move |watched| (watched.backend.name, since(watched)));
        away.filter(|(_, since)| *since != 0).map(|(name, since)| (name, Timestamp::from_millis(since)))
    }

    /// How old the snapshots are, if that is too old to answer calls from them.
    fn stale(&self) -> Option<Duration> {
        let age = self.0.clock.now().since(self.0.follower.fresh_at());
        (age > self.0.stale).then_some(age)
    }

    /// A line for each thing that is missing; `calls`: only for what calls need. Names no address and no key:
    /// anybody may ask.
    fn missing(&self, calls: bool) -> String {
        let now = self.0.clock.now();
        let mut lines = String::new();
        for (name, since) in self.away().filter(|_| !calls) {
            writeln!(lines, "{name}: away for {} s", now.since(since).as_secs()).expect("a string takes it");
        }
        if let Some(trouble) = self.0.follower.stuck().filter(|_| !calls) {
            let why = if trouble.master.is_some() { ": a master key is missing" } else { "" };
            let seconds = now.since(trouble.since).as_secs();
            writeln!(lines, "changes: not taken in for {seconds} s{why}").expect("a string takes it");
        }
        if let Some(age) = self.stale() {
            writeln!(lines, "snapshot: stale, {} s old", age.as_secs()).expect("a string takes it");
        }
        lines
    }
}

impl Watched {
    async fn look(&self, clock: &dyn Clock) {
        let Backend { name, place, probe } = &self.backend;
        let asked = tokio::time::timeout(PATIENCE, probe.ask()).await;
        let failure = match asked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{:#}", anyhow::Error::new(error))),
            Err(_) => Some(format!("it did not answer within {} s", PATIENCE.as_secs())),
        };
        let now = clock.now().millis();
        match (failure, self.away_since.load(Ordering::Relaxed)) {
            (Some(reason), 0) => {
                self.away_since.store(now, Ordering::Relaxed);
                tracing::warn!(store = name, place, reason, "a store is away");
            }
            (None, since) if since != 0 => {
                self.away_since.store(0, Ordering::Relaxed);
                tracing::info!(store = name, seconds = (now - since) / 1000, "a store is back");
            }
            _ => {}
        }
    }
}

impl Probe {
    async fn ask(&self) -> storage::Result<()> {
        const NOTHING: Collection =
            Collection { name: "health", durability: Durability::Volatile, format: 1, reads: &[] };
        match self {
            Self::Records(changes) => changes.head().await.map(drop),
            Self::Values(values) => {
                let at = Place { owner: Owner::Platform, collection: NOTHING, key: "probe" };
                values.get(at).await.map(drop)
            }
            Self::Keys(keys) => keys.load(Owner::Platform).await.map(drop),
        }
    }
}

/// `/healthz`: the process answers. `/readyz`: everything is there; `/readyz?for=calls`: at least what tool
/// calls need.
pub(crate) fn routes(health: Health) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(health)
}

async fn ready(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let missing = health.missing(query.as_deref() == Some("for=calls"));
    let fresh = [(header::CACHE_CONTROL, "no-store".to_owned())];
    if missing.is_empty() {
        return (fresh, "ready\n").into_response();
    }
    let again = [(header::RETRY_AFTER, AWAY.as_secs().to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, fresh, again, missing).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::{ManualClock, SeededEntropy};
    use storage::StorageError;

    use super::*;
    use crate::{
        Store,
        config::{Config, Overrides},
        lifecycle,
    };

    #[tokio::test]
    async fn a_replica_without_the_new_master_key_says_so() {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1000)));
        let open = async |keys: &[&str], seed| {
            let overrides = Overrides { data: Some(home.path().join("data")), ..Overrides::default() };
            let text = format!("[keys]\nmaster = \"{}\"\n", keys.join(" "));
            let config = Config::parse(&text, Path::new(""), std::iter::empty(), &overrides).unwrap();
            let store = Store::open_with(&config, clock.clone(), Arc::new(SeededEntropy::new(seed))).await.unwrap();
            (config, store)
        };
        let (old, new) = ("0a".repeat(32), "0b".repeat(32));
        let (config, store) = open(&[&old], 1).await;
        let built = lifecycle::build(&config, &store, false).await.unwrap();
        assert_eq!(built.health.missing(false), "");

        let (_, command) = open(&[&old, &new], 2).await;
        let (sealer, changes) = (&command.sealer, &command.repos.changes);
        storage::rotate(sealer, &**changes, None, &mut |_| std::ops::ControlFlow::Continue(())).await.unwrap();
        let refused = built.follower.sync().await.unwrap_err();
        assert!(matches!(refused, StorageError::UnknownMasterKey { .. }), "{refused:?}");
        clock.advance(Duration::from_secs(3));
        assert!(built.follower.sync().await.is_err());
        assert_eq!(built.health.missing(false), "changes: not taken in for 3 s: a master key is missing\n");
        // It still answers calls, of which it knows what it needs.
        assert_eq!(built.health.missing(true), "");
        command.close().await;
        store.close().await;
    }
}
