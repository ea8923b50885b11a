//! Hints over `LISTEN` and `NOTIFY`.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Executor as _,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use storage::{Bus, Result};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::options::PostgresOptions;

/// The channel that notifications come over.
pub(crate) const CHANNEL: &str = "portico_changes";

/// How long connecting and asking may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may say nothing before it is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(10);
/// How long to wait after a connection broke, or could not be made.
const PAUSE: Duration = Duration::from_millis(500);

/// A bus over the database, with a connection of its own that is made again whenever it breaks. While it is
/// away hints are lost, as they may be.
pub(crate) struct Notifications {
    signals: Arc<Signals>,
    task: AbortHandle,
}

#[derive(Default)]
struct Signals {
    heard: Notify,
    wanted: Notify,
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notifications")
    }
}

impl Notifications {
    /// Begins to listen, in a task of its own.
    pub(crate) fn listen(options: &PostgresOptions) -> Result<Self> {
        let (options, signals) = (options.hasty()?, Arc::new(Signals::default()));
        let task = tokio::spawn(keep_listening(options, signals.clone())).abort_handle();
        Ok(Self { signals, task })
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.stop();
    }
}

#[async_trait]
impl Bus for Notifications {
    fn hint(&self) {
        self.signals.wanted.notify_one();
    }

    async fn hinted(&self) {
        self.signals.heard.notified().await;
    }
}

async fn keep_listening(options: PgConnectOptions, signals: Arc<Signals>) {
    let mut away = false;
    loop {
        match connect(&options).await {
            Ok(mut listener) => {
                if std::mem::take(&mut away) {
                    tracing::info!("hints from Postgres are back");
                }
                // What was said while nobody listened is looked up.
                signals.heard.notify_one();
                listen(&mut listener, &signals).await;
            }
            Err(error) if !away => {
                away = true;
                tracing::warn!(error = &*error, "no hints from Postgres; changes take half a second longer");
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

type Fault = Box<dyn Error + Send + Sync>;

async fn connect(options: &PgConnectOptions) -> std::result::Result<PgListener, Fault> {
    let connect = async {
        // A pool of one is how a listener gets a connection with options of our own.
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut listener = PgListener::connect_with(&pool.connect_with(options.clone()).await?).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    Ok(timeout(PATIENCE, connect).await??)
}

/// Returns when the connection is of no use any more.
async fn listen(listener: &mut PgListener, signals: &Signals) {
    loop {
        let fine = tokio::select! {
            said = listener.try_recv() => {
                signals.heard.notify_one();
                matches!(said, Ok(Some(_)))
            }
            () = signals.wanted.notified() => ask(listener, "NOTIFY portico_changes").await,
            () = sleep(SILENCE) => ask(listener, "SELECT 1").await,
        };
        if !fine {
            return;
        }
    }
}

async fn ask(listener: &mut PgListener, sql: &'static str) -> bool {
    matches!(timeout(PATIENCE, listener.execute(sql)).await, Ok(Ok(_)))
}
