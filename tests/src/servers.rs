//! Places of a test's own on the servers that all tests share.

use std::{fmt, thread};

use model::{Entropy as _, OsEntropy};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// A database and keys in Redis that one test has for itself.
#[derive(Debug)]
pub struct Places {
    /// Records, values, wrapped keys.
    pub database: Database,
    /// What may be lost.
    pub prefix: Prefix,
}

impl Places {
    /// The master key of all tests.
    pub const MASTER: &str = "6d61737465726b65796f66616c6c746573747320746861742069732033322062";

    /// New ones on the servers that all tests share, if `TEST_STORE` says so.
    ///
    /// # Panics
    /// When it is neither `sqlite` nor `postgres`.
    #[expect(clippy::disallowed_methods, reason = "how cargo xtask chooses the store")]
    pub async fn chosen() -> Option<Self> {
        match std::env::var("TEST_STORE").as_deref() {
            Err(_) | Ok("sqlite") => None,
            Ok("postgres") => Some(Self::create().await),
            Ok(other) => panic!("TEST_STORE is {other}: use sqlite or postgres"),
        }
    }

    /// New ones on the servers that all tests share.
    pub async fn create() -> Self {
        let database = Database::create(&server("TEST_POSTGRES")).await;
        Self { database, prefix: Prefix::on(&server("TEST_REDIS")) }
    }

    /// What says so in a configuration; goes before its tables.
    pub fn configuration(&self) -> String {
        format!(
            "storage = \"postgres\"\npostgres.url = \"{}\"\npostgres.max_connections = 5\nredis.url = \"{}\"\n\
             redis.prefix = \"{}\"\nkeys.master = \"{}\"\n",
            self.database.url,
            self.prefix.url,
            self.prefix.name,
            Self::MASTER,
        )
    }
}

/// Where `cargo xtask` started a server for the tests: `TEST_POSTGRES`, `TEST_REDIS`, `TEST_VALKEY`.
#[expect(clippy::disallowed_methods, reason = "how cargo xtask passes on what it started")]
pub fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set, and this test needs that server: run `cargo xtask backends`, or all of them with `cargo xtask test`")
    })
}

/// An empty Postgres database, dropped at the end.
pub struct Database {
    server: String,
    name: String,
    /// How it is reached.
    pub url: String,
}

impl Database {
    /// A new one on a server.
    pub async fn create(server: &str) -> Self {
        let name = format!("t_{}", random());
        execute(server, format!("CREATE DATABASE {name}")).await.expect("a database");
        let (before, _) = server.rsplit_once('/').expect("a path");
        Self { url: format!("{before}/{name}"), server: server.to_owned(), name }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // Whatever runtime there is may be ending.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(execute(&server, sql))
        });
        // A server that the test has ended keeps nothing.
        let _ = dropping.join();
    }
}

async fn execute(server: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
}

/// What the keys of a test in Redis start with; they are deleted at the end.
#[derive(Debug)]
pub struct Prefix {
    /// How the server is reached.
    pub url: String,
    /// What every key starts with.
    pub name: String,
}

impl Prefix {
    /// A new one on a server.
    pub fn on(server: &str) -> Self {
        Self { url: server.to_owned(), name: format!("t-{}", random()) }
    }

    /// Every key with this prefix.
    pub fn keys(&self) -> redis::RedisResult<Vec<Vec<u8>>> {
        let mut connection = redis::Client::open(&*self.url)?.get_connection()?;
        let pattern = format!("{}*", self.name);
        let (mut cursor, mut keys) = (0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
            let (next, found): (u64, Vec<Vec<u8>>) = scan.query(&mut connection)?;
            keys.extend(found);
            if next == 0 {
                return Ok(keys);
            }
            cursor = next;
        }
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        // A server that the test has ended keeps nothing.
        let Ok(keys) = self.keys() else { return };
        let Ok(mut connection) = redis::Client::open(&*self.url).and_then(|client| client.get_connection()) else {
            return;
        };
        for key in keys {
            let _: redis::RedisResult<()> = redis::cmd("DEL").arg(key).query(&mut connection);
        }
    }
}

fn random() -> String {
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}
