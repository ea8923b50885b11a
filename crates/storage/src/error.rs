use std::error::Error;

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
    },
    /// Something with this name or id is already there.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// The store was written by a newer version of Portico.
    #[error("the store was written by a newer version: {0}")]
    Newer(String),
}

impl StorageError {
    /// A backend's failure.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// A value that does not parse.
    pub fn damaged(place: impl Into<String>, reason: &'static str) -> Self {
        Self::Damaged { place: place.into(), reason }
    }
}
