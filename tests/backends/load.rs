//! People and clients at work, who remember what they were told.

mod actor;
mod ledger;
mod trouble;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Result;
use async_trait::async_trait;
use http::Method;
use model::{Entropy as _, SeededEntropy};
use tests::{Answer, Live, Site};
use tokio::{sync::RwLock, task::JoinSet};

use self::actor::Actor;
pub(crate) use self::{
    ledger::{DEMO, Family, Ledger},
    trouble::{Trouble, want},
};

/// Several replicas as one, without stickiness: each request goes to the next.
#[derive(Debug)]
pub(crate) struct Balanced {
    replicas: Vec<Live>,
    next: AtomicUsize,
}

impl Balanced {
    pub(crate) fn new(replicas: impl IntoIterator<Item = Live>) -> Self {
        Self { replicas: replicas.into_iter().collect(), next: AtomicUsize::new(0) }
    }

    /// Each of them.
    pub(crate) fn each(&self) -> &[Live] {
        &self.replicas
    }
}

#[async_trait]
impl Site for Balanced {
    async fn try_send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
        self.replicas[next].try_send(method, path, headers, body).await
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// From 0, below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
}

/// Actors at work until they are told to stop.
#[derive(Debug)]
pub(crate) struct Load {
    site: Arc<Balanced>,
    ledger: Arc<Ledger>,
    /// Actors read for the time of a step; who writes has them pause.
    gate: Arc<RwLock<()>>,
    stop: Arc<AtomicBool>,
    actors: JoinSet<()>,
}

impl Load {
    /// Starts actors for these people of the world, each with one client and one browser at a time.
    pub(crate) fn start(site: Arc<Balanced>, people: &[&str], seed: u64) -> Self {
        let (ledger, gate, stop) = (Arc::new(Ledger::default()), Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut actors = JoinSet::new();
        for (number, person) in (0..).zip(people) {
            let actor = Actor::new(number, person, Arc::clone(&ledger), Dice::new(seed ^ (number << 32)));
            let (site, gate, stop): (_, Arc<RwLock<()>>, _) = (Arc::clone(&site), Arc::clone(&gate), Arc::clone(&stop));
            actors.spawn(async move { actor.work(&site, &gate, &stop).await });
        }
        Self { site, ledger, gate, stop, actors }
    }

    /// What they were told so far.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Has everybody pause, holds every replica against what was told, and lets them go on. `all`: also what uses
    /// things up, and everything instead of the newest.
    pub(crate) async fn verify(&self, all: bool) {
        let _pause = self.gate.write().await;
        self.ledger.verify(&self.site, all).await;
    }

    /// Ends it, and what each of them was told.
    pub(crate) async fn stop(self) -> Arc<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        self.actors.join_all().await;
        self.ledger
    }
}
