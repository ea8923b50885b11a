use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use model::{Clock, Entropy, OsEntropy, Secret, SystemClock};
use storage::{KeyValue, LocalBus, MasterKey, MasterKeySource, MasterKeys, Sealer, WrappedKeys, repo::Repos};
use storage_postgres::{Postgres, PostgresKeys, PostgresOptions};
use storage_redis::{Redis, RedisOptions};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};

/// Where a race is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The URL of a database.
    Postgres(String),
    /// The URL of a server, and a prefix.
    Redis(String, String),
    /// A directory.
    Sqlite(PathBuf),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => write!(f, "postgres {url}"),
            Self::Redis(url, prefix) => write!(f, "redis {url} {prefix}"),
            Self::Sqlite(path) => write!(f, "sqlite {}", path.display()),
        }
    }
}

impl FromStr for At {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<_> = text.split(' ').collect();
        match words[..] {
            ["postgres", url] => Ok(Self::Postgres(url.to_owned())),
            ["redis", url, prefix] => Ok(Self::Redis(url.to_owned(), prefix.to_owned())),
            ["sqlite", path] => Ok(Self::Sqlite(path.into())),
            _ => anyhow::bail!("{text} is no store"),
        }
    }
}

/// A store, opened by one of the processes.
pub(super) struct Open {
    pub(super) values: Arc<dyn KeyValue>,
    /// What Redis has not.
    pub(super) repos: Option<Repos>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// The same key in every process.
#[derive(Debug)]
struct OneKey;

impl MasterKeySource for OneKey {
    fn read(&self) -> storage::Result<MasterKeys> {
        Ok(MasterKey::new([7; 32]).into())
    }
}

/// Opens it as `server` does, but without the seal, which changes nothing about who is first.
pub(super) async fn open(at: &At) -> Result<Open> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let sealer = async |keys: Arc<dyn WrappedKeys>| {
        Sealer::open_ring(Arc::new(OneKey), keys, Arc::clone(&clock), Arc::clone(&entropy)).await.map(Arc::new)
    };
    let (values, repos): (Arc<dyn KeyValue>, _) = match at {
        At::Postgres(url) => {
            let options = PostgresOptions::new(Secret::new(url.clone()));
            // Who is first is the question here, not how soon: hundreds wait for one row on a machine that may be slow.
            let patience = Duration::from_secs(25);
            let options = PostgresOptions { max_connections: 10, acquire: patience, deadline: patience, ..options };
            Postgres::migrate(&options).await.context("migrating")?;
            PostgresKeys::migrate(&options).await.context("migrating the keys")?;
            let keys = Arc::new(PostgresKeys::connect(&options).await.context("the keys")?);
            let postgres = Postgres::connect(&options, sealer(keys).await?, Arc::clone(&clock), None).await?;
            let repos = postgres.repos();
            (Arc::new(postgres), Some(repos))
        }
        At::Redis(url, prefix) => {
            let (url, prefix) = (Secret::new(url.clone()), prefix.clone());
            let options = RedisOptions { url, pool: 4, ca: None, prefix };
            (Arc::new(Redis::connect(options, Arc::clone(&clock)).await?), None)
        }
        At::Sqlite(home) => {
            let keys = Arc::new(SqliteKeys::open(&home.join("keys.db"), OpenOptions::default()).await?);
            let (path, bus) = (home.join("portico.db"), Arc::new(LocalBus::default()));
            let sealer = sealer(keys).await?;
            let sqlite = Sqlite::open(&path, OpenOptions::default(), sealer, Arc::clone(&clock), bus).await?;
            let repos = sqlite.repos();
            (Arc::new(sqlite), Some(repos))
        }
    };
    Ok(Open { values, repos, clock, entropy })
}
