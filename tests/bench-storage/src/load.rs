//! Callers that do nothing but one verb.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use storage::{Keep, KeyValue, Place, Revision};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cost::{Stopwatch, micros},
    stores::Workbench,
};

/// How long a value is.
pub(crate) const VALUE: usize = 1024;
/// How many values are made at most, by all callers together: the rest of the time they are only used.
const MOST: usize = 20_000;

/// What is measured, in an order in which one verb leaves what the next one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Get,
    Put,
    Replace,
    Take,
    Delete,
}

impl Verb {
    /// All of them, in that order.
    pub(crate) const ALL: [Self; 6] = [Self::Insert, Self::Get, Self::Put, Self::Replace, Self::Take, Self::Delete];

    /// Its name on the trait.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Get => "get",
            Self::Put => "put",
            Self::Replace => "replace",
            Self::Take => "take",
            Self::Delete => "delete",
        }
    }
}

/// What calls of one verb took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Microseconds that half of the calls stayed below.
    pub(crate) p50: f64,
    /// That 99 of 100 stayed below.
    pub(crate) p99: f64,
    /// Calls per second, of all callers together.
    pub(crate) rate: f64,
    /// Microseconds of processor time of this process per call.
    pub(crate) cpu: f64,
}

/// One of several that call at the same time, with values that only it knows.
struct Caller {
    store: Arc<dyn KeyValue>,
    place: Place<'static>,
    name: String,
    until: Keep,
    /// Keys and their newest revisions.
    stock: Vec<(String, Revision)>,
    /// How many it makes at most.
    most: usize,
}

/// Every verb in turn, by so many callers.
pub(crate) async fn cycle(
    store: &Arc<dyn KeyValue>,
    bench: &Workbench,
    callers: usize,
    time: Duration,
) -> anyhow::Result<Vec<Measured>> {
    let place = Place { owner: bench.owner, collection: Workbench::VALUES, key: "" };
    let until = Keep::Until(bench.clock.now() + Duration::from_hours(1));
    let mut all: Vec<Caller> = (0..callers)
        .map(|number| {
            let name = format!("{callers}-{number}");
            Caller { store: Arc::clone(store), place, name, until, stock: Vec::new(), most: MOST / callers }
        })
        .collect();
    for caller in &mut all {
        caller.warm().await?;
    }
    let mut measured = Vec::new();
    for verb in Verb::ALL {
        let (used, figures) = together(all, verb, time).await?;
        all = used;
        measured.push(figures);
    }
    for caller in &mut all {
        caller.clean().await?;
    }
    Ok(measured)
}

/// All of them at once, until the time is over or what they need is used up.
async fn together(callers: Vec<Caller>, verb: Verb, time: Duration) -> anyhow::Result<(Vec<Caller>, Measured)> {
    let watch = Stopwatch::start();
    let end = Instant::now() + time;
    let mut running = JoinSet::new();
    for mut caller in callers {
        running.spawn(async move {
            let times = caller.run(verb, end).await?;
            anyhow::Ok((caller, times))
        });
    }
    let (mut callers, mut times) = (Vec::new(), Vec::new());
    while let Some(done) = running.join_next().await {
        let (caller, own) = done??;
        callers.push(caller);
        times.extend(own);
    }
    let (wall, cpu) = watch.stop();
    ensure!(!times.is_empty(), "{} was not called once", verb.name());
    times.sort_unstable();
    let quantile = |part: usize| micros(times[(times.len() - 1) * part / 100]);
    #[expect(clippy::cast_precision_loss, reason = "there are less than 2^52 calls")]
    let calls = times.len() as f64;
    let figures =
        Measured { p50: quantile(50), p99: quantile(99), rate: calls / wall.as_secs_f64(), cpu: micros(cpu) / calls };
    Ok((callers, figures))
}

impl Caller {
    /// So that connections are open and statements prepared.
    async fn warm(&self) -> anyhow::Result<()> {
        let key = format!("warm-{}", self.name);
        for _ in 0..3 {
            let at = Place { key: &key, ..self.place };
            let revision = self.store.put(at, &[0; VALUE], self.until).await?;
            ensure!(self.store.get(at).await?.is_some(), "nothing was put");
            ensure!(self.store.replace(at, revision, &[1; VALUE], self.until).await?.is_some(), "nothing to replace");
            ensure!(self.store.take(at).await?.is_some(), "nothing to take");
            ensure!(self.store.insert(at, &[2; VALUE], self.until).await?.is_some(), "it was not taken");
            ensure!(self.store.delete(at).await?, "nothing to delete");
        }
        Ok(())
    }

    /// Calls one verb again and again; how long each call took.
    async fn run(&mut self, verb: Verb, end: Instant) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        // What is used up is halved between take and delete, so that there must be two, however long they take.
        let (least, enough) = match verb {
            Verb::Insert => (2, self.most),
            Verb::Take => (1, self.stock.len() / 2),
            Verb::Delete => (1, self.stock.len()),
            Verb::Get | Verb::Put | Verb::Replace => (1, usize::MAX),
        };
        while times.len() < enough && (times.len() < least || Instant::now() < end) {
            times.push(self.call(verb, times.len()).await?);
        }
        Ok(times)
    }

    /// One call, checked; its time.
    async fn call(&mut self, verb: Verb, count: usize) -> anyhow::Result<Duration> {
        let value = [u8::try_from(count % 251)?; VALUE];
        let (mut key, mut revision) = match verb {
            Verb::Insert => (format!("{}-{count}", self.name), Revision(0)),
            Verb::Take | Verb::Delete => self.stock.pop().expect("there is stock"),
            Verb::Get | Verb::Put | Verb::Replace => {
                let at = count % self.stock.len();
                let (key, revision) = &mut self.stock[at];
                (std::mem::take(key), *revision)
            }
        };
        let at = Place { key: &key, ..self.place };
        let began = Instant::now();
        let found = match verb {
            Verb::Insert => self.store.insert(at, &value, self.until).await?.map(|new| revision = new).is_some(),
            Verb::Get => self.store.get(at).await?.is_some_and(|entry| entry.value.len() == VALUE),
            Verb::Put => {
                revision = self.store.put(at, &value, self.until).await?;
                true
            }
            Verb::Replace => {
                self.store.replace(at, revision, &value, self.until).await?.map(|new| revision = new).is_some()
            }
            Verb::Take => self.store.take(at).await?.is_some_and(|entry| entry.value.len() == VALUE),
            Verb::Delete => self.store.delete(at).await?,
        };
        let took = began.elapsed();
        ensure!(found, "{} did not do what it promises", verb.name());
        match verb {
            Verb::Insert => self.stock.push((std::mem::take(&mut key), revision)),
            Verb::Get | Verb::Put | Verb::Replace => {
                let at = count % self.stock.len();
                self.stock[at] = (key, revision);
            }
            Verb::Take | Verb::Delete => {}
        }
        Ok(took)
    }

    /// Removes what is left.
    async fn clean(&mut self) -> anyhow::Result<()> {
        for (key, _) in self.stock.drain(..) {
            self.store.delete(Place { key: &key, ..self.place }).await?;
        }
        Ok(())
    }
}
