//! `portico backup` and `portico restore`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use model::{Clock, Entropy, OsEntropy, SystemClock};
use storage::{
    Owner,
    archive::{Grants, KeysFile, Restored},
};
use tokio::{
    fs::File,
    io::{AsyncBufRead, BufReader},
    runtime,
    time::Instant,
};

use crate::{
    backup::{self, Done, Source, Target},
    config::{Config, Overrides},
    draft::Draft,
    lifecycle::signalled,
    telemetry,
};

/// How often the number of rows is shown.
const SHOWN: Duration = Duration::from_millis(100);

#[derive(Args, Debug)]
pub(super) struct Files {
    /// The file with the data; `-` for standard output or input
    #[arg(long, value_name = "FILE")]
    data_file: PathBuf,
    /// The file with the wrapped keys; keep it apart from the data, and the master key apart from both
    #[arg(long, value_name = "FILE")]
    keys_file: PathBuf,
    /// Directory of the store [default: ./portico-data]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// Take the store from this configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    files: Files,
    /// What becomes of grants and sessions; has to be said for a backup of more than an hour
    ///
    /// Whatever was revoked, blocked, signed out or used since the backup was made is as it was before.
    #[arg(long, value_enum, value_name = "WHAT")]
    grants: Option<OldGrants>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OldGrants {
    /// They go on, those too that were revoked since
    Keep,
    /// They end: everybody signs in again and allows their clients again
    End,
}

impl Files {
    fn config(&self) -> anyhow::Result<Config> {
        if self.data_file == Path::new("-") && self.keys_file == Path::new("-") {
            bail!("only one of the two files can be `-`");
        }
        let overrides = Overrides { data: self.data.clone(), ..Overrides::default() };
        Ok(Config::load(self.config.as_deref(), &overrides)?)
    }
}

/// Writes a backup.
pub(super) fn write(files: &Files) -> anyhow::Result<()> {
    let config = files.config()?;
    telemetry::start(&config.log);
    until_a_signal(async {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let (mut data, mut keys) = (Draft::begin(&files.data_file)?, Draft::begin(&files.keys_file)?);
        let source = Source::open(&config, &clock, &entropy).await?;
        let progress = Progress::begin("Backed up");
        let written =
            backup::backup(&source, &*clock, &*entropy, &|rows| progress.at(rows), data.writer(), keys.writer()).await;
        source.close().await;
        let Done { rows, damaged } = written?;
        data.finish().await?;
        keys.finish().await?;
        progress.end(rows);
        if damaged > 0 {
            say(&format!(
                "Nobody can open what is sealed in {}: damaged, or its key is gone. The log names them; they are in \
                 the backup as they are.\n",
                rows_of(damaged)
            ))?;
        }
        say(
            "The keys file opens nothing without the master key, which is in neither file: keep that apart from both.\n",
        )
    })
}

/// Fills an empty store.
pub(super) fn read(args: &RestoreArgs) -> anyhow::Result<()> {
    let config = args.files.config()?;
    telemetry::start(&config.log);
    let grants = args.grants.map(|grants| match grants {
        OldGrants::Keep => Grants::Keep,
        OldGrants::End => Grants::End,
    });
    until_a_signal(async {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let mut data = open(&args.files.data_file).await?;
        let mut keys = open(&args.files.keys_file).await?;
        // All of it is there before anything is made.
        let keys = KeysFile::read(&mut keys).await?;
        let target = Target::open(&config).await?;
        let progress = Progress::begin("Restored");
        let restored =
            backup::restore(&target, clock, entropy, grants, &|rows| progress.at(rows), &mut data, keys).await;
        target.close().await;
        let restored = restored?;
        progress.end(restored.rows);
        report(&restored)
    })
}

fn report(restored: &Restored) -> anyhow::Result<()> {
    if !restored.closed.is_empty() {
        let named = |(owner, slug): (&Owner, &Option<String>)| match slug {
            Some(slug) => format!("{slug} ({owner})"),
            None => owner.to_string(),
        };
        let owners: Vec<_> = restored.closed.iter().map(named).collect();
        say(&format!(
            "The keys of {} are not in the keys file: their secrets stay closed, as after a shred. Delete what is \
             left of them.\n",
            owners.join(", ")
        ))?;
    }
    if restored.damaged > 0 {
        say(&format!(
            "Nobody can open what is sealed in {}, as when the backup was made: damaged, or its key was gone. The log \
             names them; they are as they were.\n",
            rows_of(restored.damaged)
        ))?;
    }
    say("Portico can be started.\n")
}

fn rows_of(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

async fn open(path: &Path) -> anyhow::Result<Box<dyn AsyncBufRead + Send + Unpin>> {
    let file = if path == Path::new("-") {
        let input = io::stdin().as_fd().try_clone_to_owned().context("standard input cannot be read")?;
        File::from_std(input.into())
    } else {
        File::open(path).await.with_context(|| format!("{} cannot be read", path.display()))?
    };
    Ok(Box::new(BufReader::with_capacity(256 * 1024, file)))
}

/// Runs to the end, or to a signal; then nothing half-done stays.
fn until_a_signal(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done,
            signal = signalled() => signal.and_then(|()| bail!("stopped by a signal; nothing was kept")),
        }
    });
    // A read of standard input that still waits is not waited for.
    runtime.shutdown_background();
    done
}

/// To standard error: standard output may be one of the files.
fn say(text: &str) -> anyhow::Result<()> {
    io::stderr().lock().write_all(text.as_bytes()).context("standard error cannot be written")
}

/// How far it is: on a terminal all the time, elsewhere at the end.
struct Progress {
    verb: &'static str,
    began: Instant,
    shown: Option<AtomicU64>,
}

impl Progress {
    fn begin(verb: &'static str) -> Self {
        let shown = io::stderr().is_terminal().then(AtomicU64::default);
        Self { verb, began: Instant::now(), shown }
    }

    fn at(&self, rows: u64) {
        let Some(shown) = &self.shown else { return };
        let now = u64::try_from(self.began.elapsed().as_millis() / SHOWN.as_millis()).unwrap_or(u64::MAX);
        if shown.swap(now, Ordering::Relaxed) != now {
            // Not to be seen is no reason to stop.
            let _ = say(&format!("\r{} {rows} rows …", self.verb));
        }
    }

    fn end(&self, rows: u64) {
        let clear = if self.shown.is_some() { "\r" } else { "" };
        let seconds = self.began.elapsed().as_secs_f32();
        let _ = say(&format!("{clear}{} {rows} rows in {seconds:.1} s.\n", self.verb));
    }
}
