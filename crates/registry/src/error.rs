use storage::StorageError;

/// A rule refused, or the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was entered breaks a rule; the message is for whoever entered it.
    #[error("{field}: {reason}")]
    Invalid {
        /// The form field or key.
        field: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Something with this name is already there.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// The person may not sign in.
    #[error("this account is blocked")]
    Blocked,
    /// Too many passwords are being checked; the caller may try again in a moment.
    #[error("too many sign-ins at once")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Storage(StorageError),
}

impl Error {
    #[expect(clippy::needless_pass_by_value, reason = "texts and errors alike, wherever they come from")]
    pub(crate) fn invalid(field: &'static str, reason: impl ToString) -> Self {
        Self::Invalid { field, reason: reason.to_string() }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Taken(what) => Self::Taken(what),
            error => Self::Storage(error),
        }
    }
}
