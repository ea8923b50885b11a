use std::{error::Error, fmt::Display};

use crate::MasterId;

/// A storage call failed. "Not found" is not an error: it is `None`.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The backend is away, too slow or refused; the caller may try again.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A stored value cannot be read: it was changed, moved, or sealed by a key that is gone.
    #[error("a stored value in {place} is damaged: {reason}")]
    Damaged {
        /// The collection or table, and the id where that is no secret.
        place: String,
        /// What does not fit.
        reason: &'static str,
        /// Whether whoever found it wrote it to the log: a damaged value is logged once, however often it
        /// is read.
        logged: bool,
    },
    /// A stored value is of a format that this version does not read: another version wrote it.
    #[error("a stored value of {collection} is of format {found}; this version reads {known}")]
    Format {
        /// The collection.
        collection: String,
        /// The value's format.
        found: u8,
        /// The format that this version writes.
        known: u8,
    },
    /// Something with this name or id is already there.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// A write speaks of something that is not there, or no longer.
    #[error("{0} is not there")]
    Missing(&'static str),
    /// The master key is not the one that this store was sealed with. Nothing was read or written.
    #[error(
        "the master key does not open the keys of this store: it belongs to another installation, or was replaced{}",
        by_which(.wanted.as_ref())
    )]
    WrongMasterKey {
        /// The master key that would, where the wrapped keys say so.
        wanted: Option<MasterId>,
    },
    /// A data key is wrapped by a master key that was not given to this process.
    #[error("the data keys of {owner} are wrapped by the master key {master}, which is not among those given")]
    UnknownMasterKey {
        /// Whose data keys.
        owner: String,
        /// Which master key.
        master: MasterId,
    },
    /// The store was written by a newer version of Portico.
    #[error("the store was written by a newer version: {0}")]
    Newer(String),
}

/// Why a backend turns us down, where waiting does not help: the password, the user, the database or a right is
/// wrong. To be found behind [`Unavailable`](StorageError::Unavailable), because to a request it makes no difference.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn by_which(id: Option<&MasterId>) -> String {
    id.map(|id| format!(". They are wrapped by the master key {id}, which is not among those given"))
        .unwrap_or_default()
}

impl StorageError {
    /// A backend's failure.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// A backend's failure that somebody has to put right.
    pub fn refused(reason: impl Display) -> Self {
        Self::unavailable(Refused(format!("{reason}")))
    }

    /// Whether the same call may succeed later without anybody doing anything about it.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(source) if !source.is::<Refused>())
    }

    /// A value that does not parse.
    pub fn damaged(place: impl Into<String>, reason: &'static str) -> Self {
        Self::Damaged { place: place.into(), reason, logged: false }
    }
}
