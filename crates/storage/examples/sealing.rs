//! What sealing costs: nanoseconds per value, sealed and opened, by one thread, as a line of JSON per size.
//!
//! `cargo run --release --package storage --features conformance --example sealing`

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::{sync::Arc, time::Duration};

use model::{OsEntropy, SystemClock, TenantId};
use storage::{Collection, Durability, Keep, MasterKey, MasterKeys, Memory, Owner, Place, Sealed, Sealer};
use storage::{KeyValue as _, conformance::MemoryKeys};
use tokio::time::Instant;

/// How many calls are measured at a time, and how many times. The best time counts: a round is short enough that
/// many of them are not interrupted, even on a machine that does something else as well.
const CALLS: u32 = 100;
const ROUNDS: usize = 3000;
const SIZES: [usize; 4] = [64, 1024, 4096, 16 * 1024];

const VALUES: Collection = Collection { name: "session", durability: Durability::Durable, format: 1, reads: &[] };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), storage::StorageError> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let (masters, keys) = (MasterKeys::from(MasterKey::new([7; 32])), Arc::new(MemoryKeys::default()));
    let sealer = Arc::new(Sealer::open_ring(Arc::new(masters), keys, clock.clone(), entropy.clone()).await?);
    let owner = Owner::Tenant(TenantId::new(&*clock, &*entropy));
    let key = "3f1c5f0f8a8e4b3a9a8f7e6d5c4b3a291807f6e5d4c3b2a1908f7e6d5c4b3a29";
    let at = Place { owner, collection: VALUES, key };
    let plain = Arc::new(Memory::new(clock.clone()));
    let sealed = Sealed::new(Memory::new(clock), Arc::clone(&sealer));
    for size in SIZES {
        let value = vec![7; size];
        let bytes = sealer.seal(owner, key.as_bytes(), &value).await?;
        let seal = best(async || sealer.seal(owner, key.as_bytes(), &value).await.map(drop)).await?;
        let open = best(async || sealer.open(owner, key.as_bytes(), &bytes).await.map(drop)).await?;
        let put = best(async || sealed.put(at, &value, Keep::Forever).await.map(drop)).await?;
        let put = put.saturating_sub(best(async || plain.put(at, &value, Keep::Forever).await.map(drop)).await?);
        println!("{{\"bytes\":{size},\"seal_ns\":{seal},\"open_ns\":{open},\"put_adds_ns\":{put}}}");
    }
    Ok(())
}

/// Nanoseconds per call, in the best round.
async fn best(call: impl AsyncFn() -> Result<(), storage::StorageError>) -> Result<u128, storage::StorageError> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            call().await?;
        }
        best = best.min(start.elapsed());
    }
    Ok((best / CALLS).as_nanos())
}
