//! The two ends of backups: what is read into one, and what is filled from one.

use std::{fmt, sync::Arc};

use anyhow::{Context as _, bail};
use model::{Clock, Entropy};
use storage::{
    MasterKeySource, Owner, Sealer, WrappedKeys,
    archive::{Archive, ArchiveError},
};
use storage_postgres::{PostgresArchive, PostgresKeys};
use storage_sqlite::{OpenOptions, SqliteArchive, SqliteKeys};

use super::{master, shared};
use crate::{
    DataDir,
    config::{Config, MasterKeyConfig, StorageConfig},
    data_dir::Lock,
};

/// An installation to be backed up. It may be served meanwhile.
#[derive(Debug)]
pub struct Source {
    /// Its data.
    pub archive: Arc<dyn Archive>,
    /// Its wrapped keys.
    pub keys: Arc<dyn WrappedKeys>,
    /// What seals in it.
    pub sealer: Arc<Sealer>,
    opened: Opened,
}

/// Where an installation is restored to.
#[derive(Debug)]
pub struct Target {
    /// The empty database, its schema up to date.
    pub archive: Arc<dyn Archive>,
    /// Where the wrapped keys go.
    pub keys: Arc<dyn WrappedKeys>,
    /// The master keys.
    pub master: Arc<dyn MasterKeySource>,
    opened: Opened,
    _lock: Option<Lock>,
}

/// What has to be closed.
enum Opened {
    Sqlite(SqliteArchive, Arc<SqliteKeys>),
    Postgres(Arc<PostgresKeys>),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(..) => "Sqlite",
            Self::Postgres(_) => "Postgres",
        })
    }
}

impl Opened {
    async fn close(&self) {
        match self {
            Self::Sqlite(archive, keys) => {
                archive.close().await;
                keys.close().await;
            }
            Self::Postgres(keys) => keys.close().await,
        }
    }
}

impl Source {
    /// Opens what is configured. Makes nothing, and changes no schema.
    pub async fn open(config: &Config, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> anyhow::Result<Self> {
        let (archive, opened): (Arc<dyn Archive>, _) = match &config.storage {
            StorageConfig::Sqlite => {
                if !DataDir::exists(&config.data) {
                    bail!("there is no installation in {}", config.data.display());
                }
                let dir = DataDir::open(&config.data)?;
                let archive = SqliteArchive::of(&dir.database(), OpenOptions::default());
                check(&archive).await?;
                let keys = SqliteKeys::open(&dir.keys(), OpenOptions::default()).await;
                let keys = Arc::new(keys.context("the wrapped keys cannot be opened")?);
                (Arc::new(archive.clone()), Opened::Sqlite(archive, keys))
            }
            StorageConfig::Postgres(postgres) => {
                let archive = PostgresArchive::of(&postgres.data());
                check(&archive).await.with_context(|| postgres.place())?;
                let keys = PostgresKeys::connect(&postgres.keys()).await.with_context(|| postgres.keys_place())?;
                (Arc::new(archive), Opened::Postgres(Arc::new(keys)))
            }
        };
        let keys = opened.keys();
        match sealer(config, &keys, clock, entropy).await {
            Ok(sealer) => Ok(Self { archive, keys, sealer: Arc::new(sealer), opened }),
            Err(error) => {
                opened.close().await;
                Err(error)
            }
        }
    }

    /// Waits for running calls and closes everything.
    pub async fn close(&self) {
        self.opened.close().await;
    }
}

/// What seals in an installation that is there.
async fn sealer(
    config: &Config,
    keys: &Arc<dyn WrappedKeys>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<Sealer> {
    let master = present(config)?;
    // A sealer would make a key where there is none.
    if keys.load(Owner::Platform).await?.is_empty() {
        bail!("the wrapped keys of this installation are gone: nothing in its data can be opened");
    }
    Ok(Sealer::open_ring(master, Arc::clone(keys), Arc::clone(clock), Arc::clone(entropy)).await?)
}

/// That the data is of this version's schema; before anything else is opened, because that may bring its own
/// schema up to date beside a process that serves with an older one.
async fn check(archive: &dyn Archive) -> anyhow::Result<()> {
    let schema = archive.schema().await?;
    if schema.found != schema.known {
        return Err(ArchiveError::OtherSchema { found: schema.found, known: schema.known }.into());
    }
    Ok(())
}

/// The master keys, which are not made here.
fn present(config: &Config) -> anyhow::Result<Arc<dyn MasterKeySource>> {
    if !matches!(config.master, MasterKeyConfig::DataDirectory) {
        return master::given(&config.master);
    }
    let path = config.data.join("master.key");
    if !path.exists() {
        bail!(
            "{} is not there. Put the master key of the installation there first, readable by its owner only: its \
             wrapped keys open with no other",
            path.display()
        );
    }
    master::file(&path)
}

impl Target {
    /// Opens what is configured, makes what is not there, and brings its schema up to date. A directory stays
    /// locked until this is dropped.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let master = present(config)?;
        let (archive, opened, lock): (Arc<dyn Archive>, _, _) = match &config.storage {
            StorageConfig::Sqlite => {
                let dir = DataDir::open(&config.data)?;
                let lock = dir.lock()?;
                let what = || format!("the store in {} cannot be opened", dir.path().display());
                let keys = SqliteKeys::open(&dir.keys(), OpenOptions::default()).await.with_context(what)?;
                let archive = SqliteArchive::make(&dir.database(), OpenOptions::default()).await.with_context(what)?;
                (Arc::new(archive.clone()), Opened::Sqlite(archive, Arc::new(keys)), Some(lock))
            }
            StorageConfig::Postgres(postgres) => {
                shared::migrate(postgres).await?;
                let keys = PostgresKeys::connect(&postgres.keys()).await.with_context(|| postgres.keys_place())?;
                let archive = PostgresArchive::of(&postgres.data());
                (Arc::new(archive), Opened::Postgres(Arc::new(keys)), None)
            }
        };
        Ok(Self { archive, keys: opened.keys(), master, opened, _lock: lock })
    }

    /// Waits for running calls and closes everything.
    pub async fn close(&self) {
        self.opened.close().await;
    }
}

impl Opened {
    fn keys(&self) -> Arc<dyn WrappedKeys> {
        match self {
            Self::Sqlite(_, keys) => Arc::clone(keys) as _,
            Self::Postgres(keys) => Arc::clone(keys) as _,
        }
    }
}
