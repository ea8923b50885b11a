use std::fmt;

use async_trait::async_trait;
use storage::{ColumnPlace, Owner, Result, StorageError, WrappedKey, WrappedKeys};

use crate::{
    Postgres,
    database::{Database, Hints},
    failed,
    migrating::{self, Migrated},
    options::PostgresOptions,
    row::count,
};

/// Wrapped data keys in the schema `portico_keys`: of the database with the data, or of another one.
pub struct PostgresKeys(Database);

impl fmt::Debug for PostgresKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresKeys")
    }
}

impl PostgresKeys {
    /// Brings the schema of the keys up to date, one caller at a time.
    pub async fn migrate(options: &PostgresOptions) -> Result<Migrated> {
        migrating::migrate(options, &migrating::KEYS).await
    }

    /// Connects to a database whose schema of keys is up to date; fails as [`Postgres::connect`] does.
    pub async fn connect(options: &PostgresOptions) -> Result<Self> {
        let database = Database::connect(options, Hints::Notify)?;
        migrating::check(&database, &migrating::KEYS).await?;
        Ok(Self(database))
    }

    /// Waits for running calls, a few seconds at most, and closes every connection.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

#[async_trait]
impl WrappedKeys for PostgresKeys {
    async fn load(&self, owner: Owner) -> Result<Vec<WrappedKey>> {
        let rows = sqlx::query!(
            "SELECT id, wrapped FROM portico_keys.data_key WHERE owner = $1 ORDER BY id",
            owner.to_string(),
        )
        .fetch_all(&self.0)
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| Ok(WrappedKey { owner, id: count("data_key.id", row.id)?, wrapped: row.wrapped }))
            .collect()
    }

    async fn insert(&self, key: &WrappedKey) -> Result<bool> {
        let inserted = sqlx::query!(
            "INSERT INTO portico_keys.data_key (owner, id, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            key.owner.to_string(),
            i64::from(key.id),
            key.wrapped,
        )
        .execute(&self.0)
        .await
        .map_err(failed)?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        sqlx::query!("DELETE FROM portico_keys.data_key WHERE owner = $1", owner.to_string())
            .execute(&self.0)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

/// What the canary says.
const SONG: &[u8] = b"portico";

impl Postgres {
    /// Opens the text that was sealed when the database was made. It does not open when the keys were
    /// lost or exchanged: then nothing sealed here can be read, and going on would look like an empty
    /// store that fails now and then.
    pub(crate) async fn check_canary(&self) -> Result<()> {
        let at = ColumnPlace { owner: Owner::Platform, table: "canary", column: "sealed", row: &[1] };
        let stored = sqlx::query_scalar!("SELECT sealed FROM canary").fetch_optional(self.read()).await;
        let stored = match stored.map_err(failed)? {
            Some(stored) => stored,
            None => self.first_canary(&self.0.sealer.seal_column(at, SONG).await?).await?,
        };
        match self.0.sealer.open_column(at, &stored).await {
            Ok(song) if song.as_slice() == SONG => Ok(()),
            Ok(_) | Err(StorageError::Damaged { .. }) => Err(StorageError::WrongMasterKey),
            Err(error) => Err(error),
        }
    }

    /// Stores a canary, unless another replica was quicker; the one that is there afterwards.
    async fn first_canary(&self, fresh: &[u8]) -> Result<Vec<u8>> {
        sqlx::query!("INSERT INTO canary (\"only\", sealed) VALUES (1, $1) ON CONFLICT DO NOTHING", fresh)
            .execute(self.read())
            .await
            .map_err(failed)?;
        sqlx::query_scalar!("SELECT sealed FROM canary").fetch_one(self.read()).await.map_err(failed)
    }
}
