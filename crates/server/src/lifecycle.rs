//! Load → build → bind → log → run → signal → stop accepting → drain → exit.

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use anyhow::Context as _;
use http_kit::outbound::SystemResolver;
use registry::apply::File;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    DataDir,
    cli::{apply_file, print},
    config::Config,
    listen::{Listeners, raise_file_limit},
    wiring::{self, Built, Parts, Store},
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
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("no runtime can be started")?;
    runtime.block_on(serve(config, file, loopback))
}

async fn serve(config: Config, file: Option<File>, loopback: bool) -> anyhow::Result<()> {
    config.only_sqlite()?;
    let dir = DataDir::open(&config.data)?;
    let _lock = dir.lock()?;
    let store = Store::open(dir.path()).await?;
    let own = vec![config.listen];
    let resolver = Arc::new(SystemResolver);
    let parts = Parts { config: config.clone(), store: store.clone(), loopback, resolver, own };
    if let Some(file) = file {
        apply_file(&store.registry(), &file, false, false).await?;
    }
    raise_file_limit();
    let built = wiring::build(parts).await?;
    let listeners = Listeners::bind(config.listen, config.workers)?;
    let stop = CancellationToken::new();
    let workers = listeners.serve(&built.app, &stop, config.grace)?;
    let mut beside = JoinSet::new();
    beside.spawn({
        let (follower, stop) = (Arc::clone(&built.follower), stop.clone());
        async move { follower.run(stop).await }
    });
    beside.spawn(storage::maintain(store.maintenance.clone(), Arc::clone(&store.clock), stop.clone()));
    greet(&config, &built).await?;
    signalled().await?;
    tracing::info!(grace_seconds = config.grace.as_secs(), "stopping: no new connections, requests may end");
    stop.cancel();
    tokio::task::spawn_blocking(|| workers.join()).await.context("the workers cannot be waited for")??;
    beside.join_all().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Says where it is reached and, while nobody has an account, how to make the first one.
async fn greet(config: &Config, built: &Built) -> anyhow::Result<()> {
    tracing::info!(
        listen = %config.listen, url = config.origins.app, data = %config.data.display(), workers = config.workers,
        "ready"
    );
    print(format_args!("Portico is ready at {}\n", config.origins.app))?;
    let Some(link) = built.setup.issue().await? else {
        return Ok(());
    };
    let minutes = link.lifetime.as_secs() / 60;
    print(format_args!(
        "\nNobody has an account yet. Open this link within {minutes} minutes to make the first one; it works \
         once:\n\n  {}\n\nThen register an MCP server, and give its URL to an MCP client. A new link is printed \
         when portico starts again.\n",
        link.url.expose()
    ))?;
    if !std::io::stdout().is_terminal() {
        tracing::warn!("the set-up link was printed to standard output, which is not a terminal: mind who reads it");
    }
    Ok(())
}

/// Returns at SIGTERM or SIGINT.
async fn signalled() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
