use std::{fmt, str::FromStr as _, time::Duration};

use model::Secret;
use sqlx::postgres::PgConnectOptions;
use storage::{Result, StorageError};

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`, with `sslmode` and `sslrootcert` as parameters.
    pub url: Secret,
    /// How many connections there are, at most; one more listens for notifications.
    pub max_connections: u32,
    /// How long an operation waits for a connection.
    pub acquire: Duration,
    /// How long an operation may take in all, a transaction included.
    pub deadline: Duration,
}

impl PostgresOptions {
    /// The defaults: 20 connections, 2 seconds for one, 5 seconds in all.
    pub fn new(url: Secret) -> Self {
        Self { url, max_connections: 20, acquire: Duration::from_secs(2), deadline: Duration::from_secs(5) }
    }

    /// Whether the URL can be read; what [`Unavailable`](StorageError::Unavailable) would otherwise hide.
    pub fn validate(&self) -> std::result::Result<(), InvalidUrl> {
        self.parse().map(drop)
    }

    /// Where it is and who we are there, for people: no password.
    pub fn place(&self) -> std::result::Result<String, InvalidUrl> {
        let options = self.parse()?;
        let user = options.get_username();
        let database = options.get_database().unwrap_or(user);
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        Ok(format!("database {database} at {host}, as {user}"))
    }

    /// For statements that have all the time they need: migrations.
    pub(crate) fn patient(&self) -> Result<PgConnectOptions> {
        Ok(self.parse().map_err(StorageError::refused)?.options([
            // A client that was cut off must not leave a lock behind for long.
            ("idle_in_transaction_session_timeout", "10s"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            // Not that a table is there already, which is how migrations find out.
            ("client_min_messages", "warning"),
        ]))
    }

    /// For ordinary statements. What the server is told here only cleans up after a client that has gone;
    /// deadlines are kept on this side, because a frozen server keeps none.
    pub(crate) fn hasty(&self) -> Result<PgConnectOptions> {
        let millis = |share: f64| format!("{}ms", self.deadline.mul_f64(share).as_millis().max(1));
        Ok(self.patient()?.options([
            ("default_transaction_isolation", "read committed".to_owned()),
            // Just before we would give up, so that the connection can be kept.
            ("statement_timeout", millis(0.9)),
            ("idle_in_transaction_session_timeout", millis(1.0)),
            // A statement that waits for a lock does not notice by itself that nobody waits for it.
            ("client_connection_check_interval", "1s".to_owned()),
        ]))
    }

    fn parse(&self) -> std::result::Result<PgConnectOptions, InvalidUrl> {
        let url = self.url.expose();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(InvalidUrl);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| InvalidUrl)?;
        Ok(options.application_name("portico"))
    }
}

/// The URL cannot be read. Says no more, since the URL holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUrl;

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a URL of the form postgres://user:password@host:port/database")
    }
}

impl std::error::Error for InvalidUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_postgres_are_taken_and_a_bad_one_is_not_shown() {
        let check = |url: &str| PostgresOptions::new(Secret::new(url.to_owned())).validate();
        assert_eq!(check("postgres://portico:secret@db.example.com:5432/portico?sslmode=verify-full"), Ok(()));
        assert_eq!(check("postgresql:///portico?host=/run/postgresql"), Ok(()));
        for wrong in ["", "db.example.com", "mysql://secret@db/portico", "postgres://db:port/portico"] {
            assert_eq!(check(wrong), Err(InvalidUrl), "{wrong}");
        }
        let options = PostgresOptions::new(Secret::new("postgres://u:hunter2@db/portico".to_owned()));
        assert!(!format!("{options:?}").contains("hunter2"));
        assert_eq!(options.place().as_deref(), Ok("database portico at db:5432, as u"));
        let socket = "postgresql:///portico?host=/run/postgresql&user=u&password=hunter2";
        let socket = PostgresOptions::new(Secret::new(socket.to_owned()));
        assert_eq!(socket.place().as_deref(), Ok("database portico at /run/postgresql, as u"));
    }
}
