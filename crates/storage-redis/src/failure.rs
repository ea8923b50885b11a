//! What Redis, or the way to it, has to say for itself when something fails.

use fred::error::{Error, ErrorKind};
use storage::StorageError;

/// A failed call, as callers see it.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn failed(error: Error) -> StorageError {
    let reason = match error.kind() {
        ErrorKind::IO => said(error.details()).to_owned(),
        // What the server answered says by itself what it is about.
        ErrorKind::Auth | ErrorKind::Unknown => error.details().to_owned(),
        _ => error.to_string(),
    };
    if lasts(&error) { StorageError::refused(reason) } else { StorageError::unavailable(reason) }
}

/// Whether somebody has to put it right.
fn lasts(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Auth | ErrorKind::Config | ErrorKind::Url => true,
        // The user is known, and may not do this.
        _ => error.details().starts_with("NOPERM"),
    }
}

/// The client keeps failures of the connection as Rust writes them for debugging: `Os { …, message: "…" }`, or
/// `Custom { …, error: "…" }`.
fn said(details: &str) -> &str {
    let quoted = ["message: \"", "error: \""].iter().find_map(|start| details.split_once(start));
    quoted.and_then(|(_, rest)| rest.rsplit_once('"')).map_or(details, |(said, _)| said)
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, io};

    use super::*;

    fn told(error: Error) -> (String, bool) {
        let error = failed(error);
        (error.source().expect("a cause").to_string(), error.may_pass())
    }

    #[test]
    fn it_is_told_for_people_and_once() {
        let refused = Error::from(io::Error::from_raw_os_error(111));
        assert_eq!(told(refused), ("Connection refused".to_owned(), true));
        let ended = Error::from(io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
        assert_eq!(told(ended), ("tls handshake eof".to_owned(), true));
        let late = Error::new(ErrorKind::Timeout, "no answer in time");
        assert_eq!(told(late), ("Timeout Error: no answer in time".to_owned(), true));
    }

    #[test]
    fn what_somebody_has_to_put_right_is_known() {
        for (kind, details) in [
            (ErrorKind::Auth, "WRONGPASS invalid username-password pair or user is disabled."),
            (ErrorKind::Auth, "NOAUTH Authentication required."),
            (ErrorKind::Unknown, "NOPERM User portico has no permissions to run the 'get' command"),
        ] {
            assert_eq!(told(Error::new(kind, details)), (details.to_owned(), false));
        }
        let loading = "LOADING Redis is loading the dataset in memory";
        assert_eq!(told(Error::new(ErrorKind::Unknown, loading)), (loading.to_owned(), true));
    }
}
