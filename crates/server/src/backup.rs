//! Backup and restore of a configured installation.

use std::sync::Arc;

use model::{Clock, Entropy};
use storage::{
    Durability,
    archive::{self, Backup, Grants, KeysFile, Restore, Restored, Sink},
};

pub use crate::store::archives::{Source, Target};

/// Hears how many rows are done.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A backup that is written.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// How many rows it has.
    pub rows: u64,
    /// How many of them have something sealed that nobody can open.
    pub damaged: u64,
}

/// Writes both files of a backup.
pub async fn backup(
    source: &Source,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    progress: Progress<'_>,
    data: Sink<'_>,
    keys: Sink<'_>,
) -> archive::Result<Done> {
    let volatile: Vec<_> = auth::COLLECTIONS
        .iter()
        .filter(|collection| collection.durability == Durability::Volatile)
        .map(|collection| collection.name)
        .collect();
    let backup = Backup {
        from: &*source.archive,
        keys: &*source.keys,
        sealer: &source.sealer,
        clock,
        entropy,
        volatile: &volatile,
        version: env!("CARGO_PKG_VERSION"),
        progress,
    };
    let written = backup.write(data).await?;
    written.keys.write(keys).await?;
    Ok(Done { rows: written.rows, damaged: written.damaged })
}

/// Fills an empty installation from both files of a backup. After an error it is as empty as before.
pub async fn restore(
    target: &Target,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    grants: Option<Grants>,
    progress: Progress<'_>,
    data: archive::Source<'_>,
    keys: KeysFile,
) -> archive::Result<Restored> {
    let restore = Restore {
        to: &*target.archive,
        keys: &*target.keys,
        master: Arc::clone(&target.master),
        clock,
        entropy,
        grants,
        sessions: &[auth::SESSIONS.name],
        progress,
    };
    restore.read(data, keys).await
}
