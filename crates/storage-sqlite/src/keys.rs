use std::{fmt, path::Path};

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use storage::{ColumnPlace, Owner, Result, StorageError, WrappedKey, WrappedKeys};

use crate::{
    Sqlite,
    database::{Database, OpenOptions},
    failed,
    row::count,
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
        let rows = sqlx::query!("SELECT id, wrapped FROM data_key WHERE owner = ? ORDER BY id", name)
            .fetch_all(self.0.writer())
            .await
            .map_err(failed)?;
        rows.into_iter()
            .map(|row| Ok(WrappedKey { owner, id: count("data_key.id", row.id)?, wrapped: row.wrapped }))
            .collect()
    }

    async fn insert(&self, key: &WrappedKey) -> Result<bool> {
        let owner = key.owner.to_string();
        let inserted = sqlx::query!(
            "INSERT INTO data_key (owner, id, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            owner,
            key.id,
            key.wrapped,
        )
        .execute(self.0.writer())
        .await
        .map_err(failed)?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        let owner = owner.to_string();
        sqlx::query!("DELETE FROM data_key WHERE owner = ?", owner).execute(self.0.writer()).await.map_err(failed)?;
        // The row is zeroed in the file (secure_delete); the log still holds its page as it was.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(self.0.writer()).await.map_err(failed)?;
        Ok(())
    }
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
            Ok(_) | Err(StorageError::Damaged { .. }) => Err(StorageError::WrongMasterKey),
            Err(error) => Err(error),
        }
    }
}
