use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use fred::{
    clients::SubscriberClient,
    error::{Error, ErrorKind},
    interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _},
    types::{Message, config::Config},
};
use storage::{Bus, Result, StorageError};
use tokio::{
    sync::{Notify, broadcast::Receiver},
    time::{sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    failure::failed,
    pool::{Connection, DEADLINE, Pool, builder, start, until_open},
};

/// How often a listener asks whether its connection still lives: nothing is written to it otherwise.
const ALIVE: Duration = Duration::from_secs(5);

/// Hints over a channel of Redis. Ends with its last handle.
pub(crate) struct RedisBus {
    given: Arc<Notify>,
    heard: Arc<Notify>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisBus")
    }
}

impl RedisBus {
    /// Listens at a channel; what is given to it goes there through `pool`.
    pub(crate) async fn connect(config: Config, pool: Arc<Pool>, channel: String) -> Result<Self> {
        let ear = Ear { config, pool: Arc::clone(&pool), channel: channel.clone() };
        let listener = ear.listen().await?;
        let (given, heard) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(stop.clone().run_until_cancelled_owned(publish(pool, channel, Arc::clone(&given))));
        tasks.spawn(hear(ear, listener, Arc::clone(&heard), stop.clone()));
        tasks.close();
        Ok(Self { given, heard, tasks, stop: stop.drop_guard() })
    }

    /// Stops listening.
    pub(crate) async fn close(&self) {
        self.stop.token().cancel();
        self.tasks.wait().await;
    }
}

#[async_trait]
impl Bus for RedisBus {
    /// Who listens here hears of it at once, with or without Redis.
    fn hint(&self) {
        self.heard.notify_one();
        self.given.notify_one();
    }

    async fn hinted(&self) {
        self.heard.notified().await;
    }
}

/// Sends hints. Those that come while one is sent become one; one that cannot be sent is lost.
async fn publish(pool: Arc<Pool>, channel: String, given: Arc<Notify>) {
    loop {
        given.notified().await;
        if let Err(error) = say(&pool, &channel).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a hint was lost");
        }
    }
}

/// A connection that hears the channel.
struct Listener {
    connection: Connection<SubscriberClient>,
    messages: Receiver<Message>,
}

/// What a listener is made of.
struct Ear {
    config: Config,
    pool: Arc<Pool>,
    channel: String,
}

impl Ear {
    /// A connection that hears the channel: it has heard what was said there by us.
    ///
    /// The client's own subscribing returns as soon as it was sent, and says nothing of a refusal.
    async fn listen(&self) -> Result<Listener> {
        let connection = start(builder(&self.config).build_subscriber_client().map_err(failed)?).await?;
        let mut messages = connection.client.message_rx();
        let subscribed = timeout(DEADLINE, async {
            connection.client.subscribe(self.channel.as_str()).await?;
            // This answer comes after the server has done what was sent before.
            connection.client.ping::<()>(None).await
        });
        subscribed.await.map_err(|_| late())?.map_err(failed)?;
        say(&self.pool, &self.channel).await?;
        match timeout(DEADLINE, messages.recv()).await {
            Ok(_) => Ok(Listener { connection, messages }),
            Err(_) => Err(late()),
        }
    }
}

fn late() -> StorageError {
    failed(Error::new(ErrorKind::Timeout, "nothing is heard of the channel of hints"))
}

async fn say(pool: &Pool, channel: &str) -> Result<()> {
    pool.run(async |line| line.publish(channel, "").await).await
}

/// Passes on what the channel says, and listens anew whenever the connection ended or is silent.
async fn hear(ear: Ear, mut listener: Listener, heard: Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = until_deaf(&mut listener, &heard) => {}
        }
        drop(listener);
        let Some(next) = until_open(&stop, async || ear.listen().await).await else { return };
        listener = next;
        // Something may have been said meanwhile.
        heard.notify_one();
    }
}

async fn until_deaf(listener: &mut Listener, heard: &Notify) {
    let Listener { connection, messages } = listener;
    loop {
        tokio::select! {
            _ = &mut connection.task => return,
            // Too many at once are heard as one; the sender lives as long as the client.
            _ = messages.recv() => heard.notify_one(),
            () = sleep(ALIVE) => {
                let pong = timeout(DEADLINE, connection.client.ping::<()>(None)).await;
                if !matches!(pong, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}
