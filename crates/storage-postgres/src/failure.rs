//! What Postgres, or the way to it, has to say for itself when something fails.

use std::{error::Error, fmt};

use storage::StorageError;

/// A failure of the database, told once. The client's own texts repeat their causes, and give the line of Postgres'
/// source code as if it were one of ours.
#[derive(Debug)]
struct Failure(sqlx::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            sqlx::Error::Database(said) => {
                f.write_str(said.message())?;
                said.code().map_or(Ok(()), |code| write!(f, " (SQLSTATE {code})"))
            }
            sqlx::Error::PoolTimedOut => f.write_str("no connection in time"),
            sqlx::Error::PoolClosed => f.write_str("it was closed"),
            sqlx::Error::Io(error) => whole(error, f),
            error => whole(error, f),
        }
    }
}

/// An error with those of its causes that it does not name itself.
fn whole(error: &(dyn Error + 'static), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let said = deeper.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = deeper.source();
    }
    f.write_str(&text)
}

impl Error for Failure {}

/// A failure as callers see it.
pub(crate) fn unavailable(error: sqlx::Error) -> StorageError {
    let lasting = lasts(&error);
    let failure = Failure(error);
    if lasting { StorageError::refused(failure) } else { StorageError::unavailable(failure) }
}

/// The same of a migration, with its number.
pub(crate) fn of_migration(version: i64, error: sqlx::Error) -> StorageError {
    let (lasting, text) = (lasts(&error), format!("migration {version}: {}", Failure(error)));
    if lasting { StorageError::refused(text) } else { StorageError::unavailable(text) }
}

/// Whether somebody has to put it right. Of a server that starts, or has too many connections, this is not said.
fn lasts(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(said) => said.code().is_some_and(|code| {
            // Class 28: no such role, a wrong password, no right to connect. 3D000: no such database. 42501: no right.
            code.starts_with("28") || code == "3D000" || code == "42501"
        }),
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn told(error: sqlx::Error) -> String {
        unavailable(error).source().expect("a cause").to_string()
    }

    #[test]
    fn a_cause_is_told_once() {
        let refused = || io::Error::from_raw_os_error(111);
        assert_eq!(told(sqlx::Error::Io(refused())), "Connection refused (os error 111)");
        let nested = io::Error::other(storage::Refused("the certificate is of somebody else".to_owned()));
        assert_eq!(told(sqlx::Error::Io(nested)), "the certificate is of somebody else");
        let tls = sqlx::Error::Tls("server does not support TLS".into());
        assert_eq!(told(tls).matches("does not support").count(), 1);
        assert!(unavailable(sqlx::Error::Io(refused())).may_pass());
        assert!(unavailable(sqlx::Error::PoolTimedOut).may_pass());
        assert!(!unavailable(sqlx::Error::Tls("server does not support TLS".into())).may_pass());
    }
}
