//! New data keys for everybody.

use std::ops::ControlFlow;

use crate::{Owner, Result, Sealer, repo::Changes};

/// How many owners get their new keys before the replicas hear of it.
const BATCH: u32 = 50;

/// How far something long is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// How many things are done.
    pub done: u64,
    /// About how many there are.
    pub total: u64,
    /// Where to go on if it stops here.
    pub position: String,
}

/// Whom a long piece of work tells how far it is, after each page, and who may end it there.
pub type OnProgress<'a> = &'a mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send);

/// What a rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// How many owners were looked at.
    pub owners: u64,
    /// How many data keys were made.
    pub made: u64,
    /// How many data keys the newest master key wraps now and did not before.
    pub rewrapped: u64,
    /// Whether it was ended before everybody's turn had come.
    pub ended: bool,
}

/// Makes a new data key for every owner after `after` that has one, and wraps all keys by the newest master
/// key. Replicas may run and write meanwhile. Doing it again makes further keys and does no other harm.
pub async fn rotate(
    sealer: &Sealer,
    changes: &dyn Changes,
    mut after: Option<Owner>,
    on_progress: OnProgress<'_>,
) -> Result<Rotation> {
    let keys = sealer.wrapped_keys();
    let (total, mut done) = (keys.count_owners().await?, Rotation::default());
    loop {
        let owners = keys.owners(after, BATCH).await?;
        let Some(&last) = owners.last() else { return Ok(done) };
        let result = rotate_some(sealer, &owners, &mut done).await;
        // Also when it failed half-way: the keys that were made count.
        changes.data_keys_changed(&owners).await?;
        result?;
        after = Some(last);
        let progress = Progress { done: done.owners, total, position: last.to_string() };
        if on_progress(&progress).is_break() {
            return Ok(Rotation { ended: true, ..done });
        }
    }
}

async fn rotate_some(sealer: &Sealer, owners: &[Owner], done: &mut Rotation) -> Result<()> {
    for owner in owners {
        let rotated = sealer.rotate(*owner).await?;
        done.owners += 1;
        done.made += u64::from(rotated.made);
        done.rewrapped += rotated.rewrapped;
    }
    Ok(())
}
