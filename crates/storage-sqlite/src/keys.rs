use std::{fmt, path::Path};

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use storage::{ColumnPlace, MasterId, Owner, Result, StorageError, WrappedKey, WrappedKeys};

use crate::{
    Sqlite,
    database::{Database, OpenOptions},
    failed,
    row::{count, time, word},
};

/// The schema of the file of keys.
static SCHEMA: Migrator = sqlx::migrate!("../../migrations/sqlite-keys");

/// Wrapped data keys in an SQLite file of their own.
pub struct SqliteKeys(Database);

impl fmt::Debug for SqliteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteKeys")
    }
}

impl SqliteKeys {
    /// Opens the file at `path` in an existing directory, makes it if there is none, and brings its
    /// schema up to date.
    pub async fn open(path: &Path, options: OpenOptions) -> Result<Self> {
        Ok(Self(Database::open(path, options, &SCHEMA).await?))
    }

    /// Waits for running calls and closes the file.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

// All of this is rare (keys are kept in memory), so one connection does it, and no second thread idles.
#[async_trait]
impl WrappedKeys for SqliteKeys {
    async fn load(&self, owner: Owner) -> Result<Vec<WrappedKey>> {
        let name = owner.to_string();
        let rows =
            sqlx::query!("SELECT id, master, active_from, wrapped FROM data_key WHERE owner = ? ORDER BY id", name,)
                .fetch_all(self.0.writer())
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
        let (owner, master, active_from) = (key.owner.to_string(), word_of(key.master), key.active_from.millis());
        let inserted = sqlx::query!(
            "INSERT INTO data_key (owner, id, master, active_from, wrapped)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
            owner,
            key.id,
            master,
            active_from,
            key.wrapped,
        )
        .execute(self.0.writer())
        .await
        .map_err(failed)?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn owners(&self, after: Option<Owner>, limit: u32) -> Result<Vec<Owner>> {
        // Any owner is greater than no text.
        let after = after.map(|owner| owner.to_string()).unwrap_or_default();
        let owners = sqlx::query_scalar!(
            "SELECT DISTINCT owner FROM data_key WHERE owner > ? ORDER BY owner LIMIT ?",
            after,
            limit,
        )
        .fetch_all(self.0.writer())
        .await
        .map_err(failed)?;
        owners.iter().map(|owner| word("data_key.owner", owner)).collect()
    }

    async fn count_owners(&self) -> Result<u64> {
        let owners = sqlx::query_scalar!(r#"SELECT count(DISTINCT owner) AS "owners!: i64" FROM data_key"#)
            .fetch_one(self.0.writer())
            .await
            .map_err(failed)?;
        count("the number of owners", owners)
    }

    async fn masters(&self) -> Result<Vec<(Option<MasterId>, u64)>> {
        let rows =
            sqlx::query!(r#"SELECT master, count(*) AS "keys!: i64" FROM data_key GROUP BY master ORDER BY master"#)
                .fetch_all(self.0.writer())
                .await
                .map_err(failed)?;
        rows.into_iter().map(|row| Ok((master(&row.master)?, count("the number of keys", row.keys)?))).collect()
    }

    async fn rewrap(&self, key: &WrappedKey, old: Option<MasterId>) -> Result<bool> {
        let (owner, new, old) = (key.owner.to_string(), word_of(key.master), word_of(old));
        let rewrapped = sqlx::query!(
            "UPDATE data_key SET master = ?, wrapped = ? WHERE owner = ? AND id = ? AND master = ?",
            new,
            key.wrapped,
            owner,
            key.id,
            old,
        )
        .execute(self.0.writer())
        .await
        .map_err(failed)?;
        Ok(rewrapped.rows_affected() > 0)
    }

    async fn remove(&self, owner: Owner, id: u32) -> Result<bool> {
        let owner = owner.to_string();
        let removed = sqlx::query!("DELETE FROM data_key WHERE owner = ? AND id = ?", owner, id)
            .execute(self.0.writer())
            .await
            .map_err(failed)?;
        self.empty_log().await?;
        Ok(removed.rows_affected() > 0)
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        let owner = owner.to_string();
        sqlx::query!("DELETE FROM data_key WHERE owner = ?", owner).execute(self.0.writer()).await.map_err(failed)?;
        self.empty_log().await
    }
}

impl SqliteKeys {
    /// A deleted row is zeroed in the file (`secure_delete`); the log still holds its page as it was.
    async fn empty_log(&self) -> Result<()> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(self.0.writer()).await.map_err(failed)?;
        Ok(())
    }
}

/// A key from before there were rings has no word.
fn master(word: &str) -> Result<Option<MasterId>> {
    if word.is_empty() { Ok(None) } else { crate::row::word("data_key.master", word).map(Some) }
}

fn word_of(master: Option<MasterId>) -> String {
    master.map(|id| id.to_string()).unwrap_or_default()
}

/// What the canary says.
const SONG: &[u8] = b"portico";

impl Sqlite {
    /// Opens the text that was sealed when the database was made. It does not open when the keys file
    /// was lost or exchanged: then nothing sealed here can be read, and going on would look like an empty
    /// store that fails now and then.
    pub(crate) async fn check_canary(&self) -> Result<()> {
        let at = ColumnPlace { owner: Owner::Platform, table: "canary", column: "sealed", row: &[1] };
        let fresh = self.0.sealer.seal_column(at, SONG).await?;
        let mut write = self.write().await?;
        sqlx::query!("INSERT INTO canary (only, sealed) VALUES (1, ?) ON CONFLICT DO NOTHING", fresh)
            .execute(write.on())
            .await
            .map_err(failed)?;
        let stored = sqlx::query_scalar!("SELECT sealed FROM canary").fetch_one(write.on()).await.map_err(failed)?;
        write.commit().await?;
        match self.0.sealer.open_column(at, &stored).await {
            Ok(song) if song.as_slice() == SONG => Ok(()),
            Ok(_) | Err(StorageError::Damaged { .. }) => Err(StorageError::WrongMasterKey { wanted: None }),
            Err(error) => Err(error),
        }
    }
}
