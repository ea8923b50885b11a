//! What sealing costs by itself.

use crate::{
    cost::{Stopwatch, micros},
    load::VALUE,
    stores::Workbench,
};

/// How many values, and how often: the middle one of these is shown.
const VALUES: u32 = 2_000;
const ROUNDS: usize = 9;

/// Prints what sealing and opening a value cost.
pub(crate) async fn show(bench: &Workbench) -> anyhow::Result<()> {
    let value = [5; VALUE];
    let (mut seals, mut opens) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let watch = Stopwatch::start();
        for _ in 0..VALUES {
            std::hint::black_box(bench.sealer.seal(bench.owner, b"a place", &value).await?);
        }
        seals.push(micros(watch.stop().1) / f64::from(VALUES));
        let sealed = bench.sealer.seal(bench.owner, b"a place", &value).await?;
        let watch = Stopwatch::start();
        for _ in 0..VALUES {
            std::hint::black_box(bench.sealer.open(bench.owner, b"a place", &sealed).await?);
        }
        opens.push(micros(watch.stop().1) / f64::from(VALUES));
    }
    println!("| sealing alone, 1 KiB | µs (lowest to highest of {ROUNDS}) | target | holds |\n|---|---|---|---|");
    for (name, mut times) in [("seal", seals), ("open", opens)] {
        times.sort_by(f64::total_cmp);
        let (lowest, middle, highest) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        let holds = if middle <= 3.0 { "yes" } else { "no" };
        println!("| {name} | {middle:.2} ({lowest:.2} to {highest:.2}) | ≤ 3 | {holds} |");
    }
    Ok(())
}
