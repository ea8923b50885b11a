//! `portico keys`: the master keys, the data keys and the signing keys.

mod signing;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use storage::{MasterId, MasterKey, Owner, Progress, Reseal, ResealPosition};
use tokio::signal::ctrl_c;

use super::{Place, counted::counted, on_a_runtime, print, progress::Reporter};
use crate::{
    Store,
    config::{Config, MasterKeyConfig, StorageConfig},
    master_file, telemetry,
};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Say which master keys there are and what they wrap
    Status(Place),
    /// Make new data keys for everybody, wrapped by the newest master key
    ///
    /// Works beside running portico processes: each reads a new key before any seals with it. Values stay as
    /// they are until `portico keys reseal`. When this is done, no key is wrapped by an older master key.
    Rotate(Rotate),
    /// Seal every value anew that is not sealed by its owner's newest data key
    ///
    /// Works beside running portico processes. It can be interrupted, and goes on with --from. Data keys that
    /// nothing needs any more are removed: those of tenants and people once their successors were in use
    /// for a quarter of an hour, the platform's after eight days, since clients and browsers hold what was made
    /// with them.
    Reseal(ResealArgs),
    /// Make a new key for signing access tokens
    ///
    /// Works beside running portico processes, which also do it by themselves (`tokens.rotate_keys`). The new key
    /// is published for ten minutes before it signs, and the old one until its last token has expired. If no key
    /// signs because it is damaged, the new one signs at once.
    RotateSigning(RotateSigning),
}

#[derive(Args, Debug)]
pub(super) struct RotateSigning {
    #[command(flatten)]
    place: Place,
    /// The keys are in wrong hands: remove all of them now. Every access token is refused within a second; clients
    /// refresh theirs and go on.
    #[arg(long)]
    compromised: bool,
}

/// Whether to make a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Master {
    /// Append a fresh one to the key file
    New,
    /// Use those that are there
    Keep,
}

#[derive(Args, Debug)]
pub(super) struct Rotate {
    #[command(flatten)]
    place: Place,
    /// The master key to wrap with [default: new if it is in the data directory, else keep]
    #[arg(long, value_enum, value_name = "WHICH")]
    master: Option<Master>,
    /// Go on behind this owner, as an interrupted run printed it
    #[arg(long, value_name = "OWNER")]
    from: Option<Owner>,
}

#[derive(Args, Debug)]
pub(super) struct ResealArgs {
    #[command(flatten)]
    place: Place,
    /// Go on at this position, as an interrupted run printed it
    #[arg(long, value_name = "POSITION")]
    from: Option<ResealPosition>,
}

pub(super) fn run(what: &Keys) -> anyhow::Result<()> {
    let place = match what {
        Keys::Status(place) => place,
        Keys::Rotate(args) => &args.place,
        Keys::Reseal(args) => &args.place,
        Keys::RotateSigning(args) => &args.place,
    };
    let config = place.config()?;
    must_be_there(&config)?;
    telemetry::start(&config.log);
    on_a_runtime(async {
        // This also shows that the keys fit, before anything is done to them.
        let store = Store::open(&config).await?;
        let done = match what {
            Keys::Status(_) => status(&store).await,
            Keys::Rotate(args) => rotate(&store, &config, args).await,
            Keys::Reseal(args) => reseal(&store, args.from.clone()).await,
            Keys::RotateSigning(args) => signing::rotate(&store, &config, args.compromised).await,
        };
        store.close().await;
        print(done?)
    })
}

/// Commands about what is there make no installation.
pub(super) fn must_be_there(config: &Config) -> anyhow::Result<()> {
    if matches!(config.storage, StorageConfig::Sqlite) && !crate::DataDir::exists(&config.data) {
        bail!("there is no installation in {}", config.data.display());
    }
    Ok(())
}

/// Appends a master key to the file that is ours, or that we were told to append to. Whether it did.
fn new_master(store: &Store, config: &Config, args: &Rotate) -> anyhow::Result<bool> {
    let (path, default): (PathBuf, _) = match &config.master {
        MasterKeyConfig::DataDirectory => (config.data.join("master.key"), Master::New),
        MasterKeyConfig::File(path) => (path.clone(), Master::Keep),
        MasterKeyConfig::Text(_) if args.master == Some(Master::New) => bail!(
            "the master keys are in the environment or in the configuration, and cannot be written there. Append one \
             for every replica, restart them, and rotate with --master keep"
        ),
        MasterKeyConfig::Text(_) => return Ok(false),
    };
    // What goes on has its master key already.
    let which = args.master.unwrap_or(if args.from.is_some() { Master::Keep } else { default });
    if which == Master::New {
        let id = master_file::append(&path, &*store.clock, &*store.entropy)?;
        store.sealer.reread_master_keys()?;
        print(format_args!("Made the master key {id} in {}\n", path.display()))?;
    }
    Ok(which == Master::New)
}

/// What to say when no master key is new, because somebody who wanted to replace one would think it is done: the
/// last of the ring wraps, and here it did before. Nothing while a rotation to a new one is under way.
async fn nothing_new(store: &Store) -> anyhow::Result<Option<String>> {
    let ring = store.sealer.master_keys();
    let (newest, wrapped) = (ring.newest().id(), store.keys.masters().await?);
    if wrapped.iter().any(|(master, _)| *master != Some(newest)) {
        return Ok(None);
    }
    let before: Vec<_> = ring.iter().map(MasterKey::id).filter(|id| *id != newest).collect();
    let idle = match before.last() {
        None => "No other is among those given".to_owned(),
        Some(id) => format!("{id} stands before it and wraps nothing: if that one is the new one, put it last"),
    };
    Ok(Some(format!(
        "THE MASTER KEY IS THE SAME AS BEFORE: the last one given, {newest}, wrapped all data keys already. {idle}. To \
         replace it, append a new one for every replica and rotate again; docs/keys.md has the steps.\n"
    )))
}

async fn rotate(store: &Store, config: &Config, args: &Rotate) -> anyhow::Result<String> {
    let made = new_master(store, config, args)?;
    let same = if made { None } else { nothing_new(store).await? };
    let (mut reporter, interrupt) = (Reporter::new("owners"), Interrupt::listen());
    let mut on_progress = |progress: &Progress| {
        reporter.note(progress);
        interrupt.flow()
    };
    let done = storage::rotate(&store.sealer, &*store.repos.changes, args.from, &mut on_progress).await;
    reporter.end();
    let again = |reporter: &Reporter| match reporter.position() {
        Some(owner) => format!("not all keys are new. Go on with `portico keys rotate --from {owner}`"),
        None => "no key is new. Do it again with `portico keys rotate --master keep`".to_owned(),
    };
    let done = done.with_context(|| again(&reporter))?;
    if done.ended {
        bail!("interrupted: {}", again(&reporter));
    }
    let newest = store.sealer.master_keys().newest().id();
    let older = match done.rewrapped {
        0 => String::new(),
        1 => format!("; an older one is wrapped by the master key {newest} now"),
        more => format!("; {more} older ones are wrapped by the master key {newest} now"),
    };
    Ok(format!(
        "Made {} for {}{older}.\n{}Values are sealed anew by `portico keys reseal`. `portico keys status` says which \
         master keys may go.\n",
        counted(done.made, "data key"),
        counted(done.owners, "owner"),
        same.unwrap_or_default()
    ))
}

async fn reseal(store: &Store, from: Option<ResealPosition>) -> anyhow::Result<String> {
    let work = Reseal {
        sealer: Arc::clone(&store.sealer),
        values: store.maintenance.clone(),
        columns: store.columns.clone(),
        changes: Arc::clone(&store.repos.changes),
        replicas: Arc::clone(&store.repos.replicas),
        clock: Arc::clone(&store.clock),
    };
    let partly = from.is_some();
    let (mut reporter, interrupt) = (Reporter::new("values"), Interrupt::listen());
    let mut on_progress = |progress: &Progress| {
        reporter.note(progress);
        interrupt.flow()
    };
    let done = work.run(from, &mut on_progress).await;
    reporter.end();
    let again = |reporter: &Reporter| match reporter.position() {
        Some(at) => format!("not everything is sealed anew. Go on with `portico keys reseal --from '{at}'`"),
        None => "nothing is sealed anew. Do it again".to_owned(),
    };
    let done = done.with_context(|| again(&reporter))?;
    if done.ended {
        bail!("interrupted: {}", again(&reporter));
    }
    Ok(told(&done, partly))
}

/// Control-C, which ends the work behind a page and not in the middle of one.
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn listen() -> Self {
        let pressed = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&pressed);
        tokio::spawn(async move {
            if ctrl_c().await.is_ok() {
                note.store(true, Ordering::Relaxed);
            }
        });
        Self(pressed)
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn told(done: &storage::Resealed, partly: bool) -> String {
    let mut text = format!(
        "Looked at {}; sealed {} anew; removed {} that nothing needs.\n",
        counted(done.looked_at, "value"),
        done.resealed,
        counted(done.removed, "data key"),
    );
    if done.unheard > 0 {
        let _ = writeln!(
            text,
            "No older data keys are removed, because of {} that did not say to know the newest. Do this again when \
             they can reach the store, or eleven minutes after they died.",
            counted(done.unheard, "replica")
        );
    } else if partly {
        text += "A part of a pass removes no keys: run `portico keys reseal` once more for that.\n";
    } else if let Some((first, last)) = done.removable_from {
        let when = if first == last {
            format!("They can be removed from {last} on")
        } else {
            format!("The first of them can be removed from {first} on, the last from {last} on")
        };
        let _ = writeln!(text, "Older data keys are left. {when}, by doing this again.");
    }
    if done.damaged > 0 {
        let _ = writeln!(
            text,
            "What does not open, because it is damaged or its key is gone: {}. It stays as it is, and so does the data \
             key that it names. The log says whose it is.",
            counted(done.damaged, "value")
        );
    }
    text
}

async fn status(store: &Store) -> anyhow::Result<String> {
    let wrapped: BTreeMap<Option<MasterId>, u64> = store.keys.masters().await?.into_iter().collect();
    let ring = store.sealer.master_keys();
    let ids: Vec<MasterId> = ring.iter().map(MasterKey::id).collect();
    let mut text = String::from("Master keys, in the order they are given in:\n");
    for id in &ids {
        let keys = wrapped.get(&Some(*id)).copied().unwrap_or_default();
        let note = match (*id == ring.newest().id(), keys) {
            (true, _) => "; it wraps new ones",
            (false, 0) if !wrapped.contains_key(&None) => "; it may go, unless a backup needs it",
            (false, _) => "",
        };
        let _ = writeln!(text, "  {id}  wraps {}{note}", counted(keys, "data key"));
    }
    if let Some(keys) = wrapped.get(&None) {
        let keys = counted(*keys, "data key");
        let _ = writeln!(text, "  {keys} without a word which wraps them: `portico keys rotate` sees to it");
    }
    for (id, keys) in wrapped.iter().filter_map(|(id, keys)| Some(((*id)?, keys))) {
        if !ids.contains(&id) {
            let keys = counted(*keys, "data key");
            let _ = writeln!(text, "  {id}  wraps {keys} AND IS NOT AMONG THOSE GIVEN: what it wraps does not open");
        }
    }
    let (owners, keys) = (store.keys.count_owners().await?, wrapped.values().sum::<u64>());
    let _ = writeln!(text, "Data keys: {keys}, of {}", counted(owners, "owner"));
    Ok(text)
}

#[cfg(test)]
mod tests;
