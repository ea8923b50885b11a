use std::sync::Arc;

use storage::usage::{Flusher, consume};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Store, wiring::Built};

/// Sends what this process counted, and adds up what any process did.
#[derive(Debug)]
pub(crate) struct Counting {
    stop: CancellationToken,
    flusher: JoinHandle<()>,
    consumer: Option<JoinHandle<()>>,
}

impl Counting {
    /// Begins with it.
    pub(crate) fn start(store: &Store, built: &Built) -> Self {
        let stop = CancellationToken::new();
        let (clock, entropy) = (Arc::clone(&store.clock), Arc::clone(&store.entropy));
        let flusher = Flusher::new(Arc::clone(&built.usage), Arc::clone(&store.spool), Arc::clone(&clock), entropy);
        let consumer = store
            .queue
            .clone()
            .map(|queue| tokio::spawn(consume(queue, Arc::clone(&store.repos.usage), clock, stop.clone())));
        Self { flusher: tokio::spawn(flusher.run(stop.clone())), consumer, stop }
    }

    /// Sends what is left. To be called when nothing counts any more.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        for task in [Some(self.flusher), self.consumer].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(%error, "what counts calls has ended early");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::{ManualClock, SeededEntropy, Timestamp};
    use registry::apply::{File, Plan};

    use super::*;
    use crate::{
        config::{Config, Overrides},
        lifecycle,
    };

    const STATE: &str = r#"
        [[tenant]]
        slug = "acme"
        name = "Acme"
        [[tenant.server]]
        slug = "demo"
        name = "Demo"
        upstream = { kind = "builtin", name = "demo" }
    "#;

    #[tokio::test]
    async fn what_was_counted_is_in_the_store_when_it_has_stopped() {
        let home = tempfile::tempdir().unwrap();
        let overrides = Overrides { data: Some(home.path().join("data")), ..Overrides::default() };
        let config = Config::parse("", Path::new(""), std::iter::empty(), &overrides).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        let store = Store::open_with(&config, clock, Arc::new(SeededEntropy::new(1))).await.unwrap();
        let registry = store.registry();
        let file = File::parse(STATE, home.path()).unwrap();
        Plan::new(&registry, &file, false).await.unwrap().execute(&registry).await.unwrap();
        let built = lifecycle::build(&config, &store, false).await.unwrap();
        let tenant = store.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap().id;
        let server = store.repos.servers.by_slug(tenant, &"demo".parse().unwrap()).await.unwrap().unwrap().id;

        let counting = Counting::start(&store, &built);
        for _ in 0..3 {
            built.usage.call(tenant, server);
        }
        built.usage.error(tenant, server);
        counting.finish().await;
        let counts = store.repos.usage.since(tenant, server, Timestamp::default()).await.unwrap();
        let [count] = &counts[..] else { panic!("{counts:?}") };
        assert_eq!((count.calls, count.errors, count.hour.seconds()), (3, 1, 1_795_179_600));
    }
}
