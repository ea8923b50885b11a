//! What each verb of each store costs: `cargo xtask bench storage` starts the servers and this, and
//! `docs/benchmarks.md` says what the figures mean.
//!
//! Every call is checked: one that does not do what its verb promises ends the bench.
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

mod cost;
mod load;
mod sealing;
mod stores;
mod table;

use std::{sync::Arc, time::Duration};

use clap::Parser;
use model::Secret;
use storage::{KeyValue, Sealed, Split};

use crate::{
    load::{Measured, cycle},
    stores::Workbench,
};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many callers there are at a time.
const CALLERS: [usize; 2] = [1, 64];

#[derive(Parser)]
struct Cli {
    /// The URL of an empty Postgres database.
    #[arg(long)]
    postgres: Option<String>,
    /// The URL of an empty Redis.
    #[arg(long)]
    redis: Option<String>,
    /// The URL of an empty Valkey.
    #[arg(long)]
    valkey: Option<String>,
    /// For how long each verb is measured each time.
    #[arg(long, default_value_t = 700)]
    millis: u64,
}

/// Callers, then verbs, then plain and sealed.
type Figures = Vec<Vec<[Measured; 2]>>;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&cli))
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    let time = Duration::from_millis(cli.millis);
    let bench = Workbench::new().await?;
    sealing::show(&bench).await?;
    table::show("Memory", &figures(&bench, bench.memory(), time).await?);
    table::show("SQLite", &figures(&bench, bench.sqlite().await?, time).await?);
    if let Some(url) = &cli.postgres {
        table::show("Postgres", &figures(&bench, bench.postgres(Secret::new(url.clone())).await?, time).await?);
    }
    for (name, url) in [("Redis", &cli.redis), ("Valkey", &cli.valkey)] {
        if let Some(url) = url {
            table::show(name, &figures(&bench, bench.redis(Secret::new(url.clone())).await?, time).await?);
        }
    }
    Ok(())
}

/// Measures one store in both ways, with one caller and with many.
async fn figures(bench: &Workbench, store: Arc<dyn KeyValue>, time: Duration) -> anyhow::Result<Figures> {
    // As the product does it, where both halves of the split are one store.
    let split = Split::new(Arc::clone(&store), Arc::clone(&store));
    let sealed: Arc<dyn KeyValue> = Arc::new(Sealed::new(split, Arc::clone(&bench.sealer)));
    let mut figures = Vec::new();
    for callers in CALLERS {
        let plain = cycle(&store, bench, callers, time).await?;
        let sealed = cycle(&sealed, bench, callers, time).await?;
        figures.push(plain.into_iter().zip(sealed).map(|(plain, sealed)| [plain, sealed]).collect());
    }
    Ok(figures)
}
