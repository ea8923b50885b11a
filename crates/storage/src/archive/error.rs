use std::{io, time::Duration};

use crate::{Owner, StorageError};

/// Which of the two files of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The one with the data.
    Data,
    /// The one with the wrapped keys.
    Keys,
}

impl std::fmt::Display for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Data => "data file",
            Self::Keys => "keys file",
        })
    }
}

/// A backup or a restore did not take place.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error("the store failed")]
    Storage(#[from] StorageError),
    /// A file cannot be read.
    #[error("the {0} cannot be read")]
    Read(File, #[source] io::Error),
    /// A file cannot be written.
    #[error("the {0} cannot be written")]
    Write(File, #[source] io::Error),
    /// A file is something else.
    #[error("the {0} is not one that `portico backup` made")]
    Foreign(File),
    /// The files were exchanged.
    #[error("the {0} of a backup was given where its other file is wanted")]
    Exchanged(File),
    /// A file was written by a newer version.
    #[error("the {file} is of format {found}; this version reads {known}. Restore it with the version that wrote it")]
    Format {
        /// Which file.
        file: File,
        /// Its format.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// The data is of a newer schema.
    #[error(
        "the backup is of schema {found}, written by portico {version}; this version knows {known}. Restore it with \
         portico {version} or newer"
    )]
    Newer {
        /// The backup's schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
        /// What wrote it.
        version: String,
    },
    /// The data is of a schema that this version cannot restore.
    #[error(
        "the backup is of schema {found}, written by portico {version}; this version restores {oldest} and newer. \
         Restore it with portico {version} and upgrade that"
    )]
    Older {
        /// The backup's schema.
        found: i64,
        /// The oldest schema that this version restores.
        oldest: i64,
        /// What wrote it.
        version: String,
    },
    /// The running store has another schema than this version.
    #[error(
        "the store has schema {found}, and this version knows {known}: make the backup with the version that \
         serves, or bring the store up to date first"
    )]
    OtherSchema {
        /// The store's schema.
        found: i64,
        /// This version's.
        known: i64,
    },
    /// A file ends before its end.
    #[error("the {0} is cut off: its end is missing")]
    CutOff(File),
    /// A file has a line that is none.
    #[error("the {file} is damaged at line {line}: {reason}")]
    Damaged {
        /// Which file.
        file: File,
        /// Which line, from 1.
        line: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// The bytes of the data file are not those that were written.
    #[error("the data file was changed or damaged: its digest is another one")]
    Changed,
    /// The files are of two backups.
    #[error("the data file and the keys file are not of the same backup")]
    Unpaired,
    /// The keys file has no key of the platform.
    #[error("the keys file has no key of the platform: without it nothing in the data can be opened")]
    NoPlatformKey,
    /// The master key does not open a key.
    #[error(
        "the master key does not open the keys of {0} in this backup: it is another installation's, or the backup is \
         from before a rotation and its master key was removed since"
    )]
    MasterKey(Owner),
    /// The data was sealed with other keys.
    #[error("the data was sealed with other keys than those of the keys file: they are of two installations")]
    OtherKeys,
    /// A key that the data needs is not there.
    #[error("key {id} of {owner} is missing, with which some of the data was sealed")]
    MissingKey {
        /// Whose.
        owner: Owner,
        /// Which of theirs.
        id: u32,
    },
    /// There is something where the data would go.
    #[error(
        "the store is not empty: {}. A backup is restored into an empty store only: give it a new directory or database",
        left(.0)
    )]
    NotEmpty(&'static str),
    /// Somebody serves what would be filled.
    #[error("the store is being served by {0} processes. Stop them first")]
    Served(usize),
    /// What to do about lost revocations has not been said.
    #[error(
        "the backup is {} old. Whatever was revoked, blocked, signed out or used since then is as it was \
         before. Say what to do: `--grants end` ends all grants and sessions, so that everybody signs in \
         again and allows their clients again; `--grants keep` keeps them, those that were revoked since included",
        age(*.0)
    )]
    Undecided(Duration),
}

impl ArchiveError {
    pub(super) fn damaged(file: File, line: u64, reason: &'static str) -> Self {
        Self::Damaged { file, line, reason }
    }
}

/// What was found where nothing should be.
fn left(place: &str) -> String {
    match place {
        // The first thing that any process writes.
        "canary" => "Portico has been started on it".to_owned(),
        "the wrapped keys" => "it has wrapped keys".to_owned(),
        table => format!("its table {table} has rows"),
    }
}

/// A duration as people say it.
fn age(age: Duration) -> String {
    let (minutes, hours) = (age.as_secs() / 60, age.as_secs() / 3600);
    match hours {
        0 => format!("{minutes} minutes"),
        1..48 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}
