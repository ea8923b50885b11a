//! Load → open and build → bind → log → run → signal → stop accepting → drain → exit.

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use anyhow::Context as _;
use auth::{Offered, SetupLink};
use http_kit::outbound::SystemResolver;
use model::ReplicaId;
use registry::apply::File;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    DataDir, Store,
    cli::{apply_file, print},
    config::{Config, StorageConfig},
    counting::Counting,
    listen::{Listeners, raise_file_limit},
    presence::Presence,
    store,
    waiting::Waiting,
    wiring::{self, Built, Parts},
};

/// How the process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start<'a> {
    /// `portico up`: for one machine, so that upstreams on loopback are allowed while we listen there only.
    Up {
        /// Applied before serving.
        apply: Option<&'a Path>,
    },
    /// `portico serve`.
    Serve,
}

/// Serves until a signal.
pub(crate) fn run(config: Config, start: Start<'_>) -> anyhow::Result<()> {
    let file = match start {
        Start::Up { apply: Some(path) } => Some(File::read(path)?),
        Start::Up { apply: None } | Start::Serve => None,
    };
    let loopback = start != Start::Serve && config.listen.ip().is_loopback();
    on_a_runtime(serve(config, file, loopback))
}

/// Runs a command on this thread.
pub(crate) fn on_a_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime::Builder::new_current_thread().enable_all().build().context("no runtime can be started")?.block_on(work)
}

async fn serve(config: Config, file: Option<File>, loopback: bool) -> anyhow::Result<()> {
    let _lock = match config.storage {
        StorageConfig::Sqlite => Some(DataDir::open(&config.data)?.lock()?),
        StorageConfig::Postgres(_) => None,
    };
    // From the first moment to the last: one that comes in between is not lost.
    let mut signals = Signals::listen()?;
    let started = tokio::select! {
        started = start(&config, file.as_ref(), loopback) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { store, built } = started;
    raise_file_limit();
    let listeners = Listeners::bind(config.listen, config.workers)?;
    let stop = CancellationToken::new();
    let workers = listeners.serve(&built.app, &stop, config.grace)?;
    let presence = Arc::new(Presence::new(&store, &built.follower));
    // What keeps the snapshots true goes on until the last request has ended.
    let end = CancellationToken::new();
    let beside = beside(&store, &built, &presence, &end);
    let counting = Counting::start(&store, &built);
    greet(&config, &built, presence.id()).await?;
    signals.next().await;
    tracing::info!(grace_seconds = config.grace.as_secs(), "stopping: no new connections, requests may end");
    stop.cancel();
    tokio::task::spawn_blocking(|| workers.join()).await.context("the workers cannot be waited for")??;
    counting.finish().await;
    end.cancel();
    beside.join_all().await;
    presence.leave().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// A platform that answers.
struct Started {
    store: Store,
    built: Built,
}

/// Opens and builds everything; as often as it takes, while a store is away.
async fn start(config: &Config, file: Option<&File>, loopback: bool) -> anyhow::Result<Started> {
    let others_migrate = config.postgres().is_some_and(|postgres| !postgres.migrate);
    let mut waiting = Waiting::new(config.storage_wait, others_migrate);
    loop {
        match attempt(config, file, loopback).await {
            Ok(started) => return Ok(started),
            Err(error) => waiting.after(error).await?,
        }
    }
}

async fn attempt(config: &Config, file: Option<&File>, loopback: bool) -> anyhow::Result<Started> {
    let store = open(config).await?;
    let built = async {
        if let Some(file) = file {
            apply_file(&store.registry(), file, false, false).await?;
        }
        build(config, &store, loopback).await
    };
    match built.await {
        Ok(built) => Ok(Started { store, built }),
        Err(error) => {
            store.close().await;
            Err(error)
        }
    }
}

/// Opens the store, and migrates it before if that is configured.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Store> {
    if let Some(postgres) = config.postgres().filter(|postgres| postgres.migrate) {
        let migrations = store::migrate(postgres).await?;
        if migrations > 0 {
            tracing::info!(migrations, "the database was migrated");
        }
    }
    Store::open(config).await
}

/// Builds a platform on an open store.
pub(crate) async fn build(config: &Config, store: &Store, loopback: bool) -> anyhow::Result<Built> {
    let (own, resolver) = (vec![config.listen], Arc::new(SystemResolver));
    wiring::build(Parts { config: config.clone(), store: store.clone(), loopback, resolver, own }).await
}

/// Starts what runs beside the requests, until `stop`.
fn beside(store: &Store, built: &Built, presence: &Arc<Presence>, stop: &CancellationToken) -> JoinSet<()> {
    let mut beside = JoinSet::new();
    beside.spawn({
        let (follower, stop) = (Arc::clone(&built.follower), stop.clone());
        async move { follower.run(stop).await }
    });
    beside.spawn({
        let (auth, stop) = (built.auth.clone(), stop.clone());
        async move { auth.run(stop).await }
    });
    beside.spawn({
        let (health, stop) = (built.health.clone(), stop.clone());
        async move { health.run(stop).await }
    });
    beside.spawn({
        let (presence, stop) = (Arc::clone(presence), stop.clone());
        async move { presence.run(stop).await }
    });
    beside.spawn(storage::maintain(store.maintenance.clone(), Arc::clone(&store.clock), stop.clone()));
    beside
}

/// Says where it is reached and, while nobody has an account, how to make the first one.
async fn greet(config: &Config, built: &Built, replica: ReplicaId) -> anyhow::Result<()> {
    let url = &config.origins.app;
    let (listen, workers) = (config.listen, config.workers);
    match config.storage {
        StorageConfig::Sqlite => {
            tracing::info!(%replica, %listen, url, data = %config.data.display(), workers, "ready");
        }
        StorageConfig::Postgres(_) => {
            tracing::info!(%replica, %listen, url, redis = config.redis.is_some(), workers, "ready");
        }
    }
    print(format_args!("Portico is ready at {url}\n"))?;
    let (offered, renewal) = match config.storage {
        StorageConfig::Sqlite => {
            let link = built.setup.issue().await;
            (
                link.map(|link| link.map_or(Offered::Closed, Offered::Link)),
                "A new link is printed when portico starts again.",
            )
        }
        // Replicas start together, and of their links only the newest would work.
        StorageConfig::Postgres(_) => (built.setup.offer().await, "`portico setup-link` prints a new link."),
    };
    match offered {
        Ok(Offered::Link(link)) => invite(&link, renewal),
        Ok(Offered::Earlier) => {
            tracing::info!("a set-up link was printed before; `portico setup-link` prints another one");
            Ok(())
        }
        Ok(Offered::Closed) => Ok(()),
        // It serves already, and whoever needs a link can ask for one.
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "there is no set-up link");
            Ok(())
        }
    }
}

/// Prints a link for the first account.
pub(crate) fn invite(link: &SetupLink, renewal: &str) -> anyhow::Result<()> {
    let minutes = link.lifetime.as_secs() / 60;
    print(format_args!(
        "\nNobody has an account yet. Open this link within {minutes} minutes to make the first one; it works \
         once:\n\n  {}\n\nThen register an MCP server, and give its URL to an MCP client. {renewal}\n",
        link.url.expose()
    ))?;
    if !std::io::stdout().is_terminal() {
        tracing::warn!("the set-up link was printed to standard output, which is not a terminal: mind who reads it");
    }
    Ok(())
}

/// SIGTERM and SIGINT, from the moment on that they are listened for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?,
        })
    }

    /// Returns at the next of them, or at once if one has come already.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns at SIGTERM or SIGINT.
pub(crate) async fn signalled() -> anyhow::Result<()> {
    Signals::listen()?.next().await;
    Ok(())
}
