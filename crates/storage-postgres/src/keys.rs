use std::fmt;

use async_trait::async_trait;
use storage::{ColumnPlace, MasterId, Owner, Result, StorageError, WrappedKey, WrappedKeys};

use crate::{
    Postgres,
    database::{Database, Hints},
    failed,
    migrating::{self, Migrated},
    options::PostgresOptions,
    row::{count, time, word},
};

/// How many connections there are for keys, at most: they are kept in memory, so all of this is rare.
const CONNECTIONS: u32 = 4;

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
        let few = PostgresOptions { max_connections: options.max_connections.min(CONNECTIONS), ..options.clone() };
        let database = Database::connect(&few, Hints::Notify)?;
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
            "SELECT id, master, active_from, wrapped FROM portico_keys.data_key WHERE owner = $1 ORDER BY id",
            owner.to_string(),
        )
        .fetch_all(&self.0)
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(WrappedKey {
                    owner,
                    id: count("data_key.id", row.id)?,
                    master: master(&row.master)?,
                    active_from: time(row.active_from),
                    wrapped: row.wrapped,
                })
            })
            .collect()
    }

    async fn insert(&self, key: &WrappedKey) -> Result<bool> {
        let inserted = sqlx::query!(
            "INSERT INTO portico_keys.data_key (owner, id, master, active_from, wrapped)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            key.owner.to_string(),
            i64::from(key.id),
            word_of(key.master),
            key.active_from.millis(),
            key.wrapped,
        )
        .execute(&self.0)
        .await
        .map_err(failed)?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn owners(&self, after: Option<Owner>, limit: u32) -> Result<Vec<Owner>> {
        let owners = sqlx::query_scalar!(
            "SELECT DISTINCT owner FROM portico_keys.data_key WHERE owner > $1 ORDER BY owner LIMIT $2",
            // Any owner is greater than no text.
            after.map(|owner| owner.to_string()).unwrap_or_default(),
            i64::from(limit),
        )
        .fetch_all(&self.0)
        .await
        .map_err(failed)?;
        owners.iter().map(|owner| word("data_key.owner", owner)).collect()
    }

    async fn count_owners(&self) -> Result<u64> {
        let owners = sqlx::query_scalar!(r#"SELECT count(DISTINCT owner) AS "owners!" FROM portico_keys.data_key"#)
            .fetch_one(&self.0)
            .await
            .map_err(failed)?;
        count("the number of owners", owners)
    }

    async fn masters(&self) -> Result<Vec<(Option<MasterId>, u64)>> {
        let rows = sqlx::query!(
            r#"SELECT master, count(*) AS "keys!" FROM portico_keys.data_key GROUP BY master ORDER BY master"#
        )
        .fetch_all(&self.0)
        .await
        .map_err(failed)?;
        rows.into_iter().map(|row| Ok((master(&row.master)?, count("the number of keys", row.keys)?))).collect()
    }

    async fn rewrap(&self, key: &WrappedKey, old: Option<MasterId>) -> Result<bool> {
        let rewrapped = sqlx::query!(
            "UPDATE portico_keys.data_key SET master = $1, wrapped = $2 WHERE owner = $3 AND id = $4 AND master = $5",
            word_of(key.master),
            key.wrapped,
            key.owner.to_string(),
            i64::from(key.id),
            word_of(old),
        )
        .execute(&self.0)
        .await
        .map_err(failed)?;
        Ok(rewrapped.rows_affected() > 0)
    }

    async fn remove(&self, owner: Owner, id: u32) -> Result<bool> {
        let removed = sqlx::query!(
            "DELETE FROM portico_keys.data_key WHERE owner = $1 AND id = $2",
            owner.to_string(),
            i64::from(id),
        )
        .execute(&self.0)
        .await
        .map_err(failed)?;
        Ok(removed.rows_affected() > 0)
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        sqlx::query!("DELETE FROM portico_keys.data_key WHERE owner = $1", owner.to_string())
            .execute(&self.0)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

/// A key from before there were rings has no word.
fn master(text: &str) -> Result<Option<MasterId>> {
    if text.is_empty() { Ok(None) } else { word("data_key.master", text).map(Some) }
}

fn word_of(master: Option<MasterId>) -> String {
    master.map(|id| id.to_string()).unwrap_or_default()
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
            Ok(_) | Err(StorageError::Damaged { .. }) => Err(StorageError::WrongMasterKey { wanted: None }),
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
