use async_trait::async_trait;
use model::Timestamp;
use storage::{
    Maintenance, Owner, Result, TOMBSTONE_LIFE,
    repo::{Clients, Grants},
};

use crate::{Sqlite, database::Write, failed};

impl Write {
    /// Removes every value of an owner.
    pub(crate) async fn delete_values(&mut self, owner: Owner) -> Result<()> {
        let owner = owner.to_string();
        sqlx::query!("DELETE FROM key_value WHERE owner = ?", owner).execute(self.on()).await.map_err(failed)?;
        Ok(())
    }
}

impl Sqlite {
    async fn purge_values(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let now = now.millis();
        let mut write = self.write().await?;
        let purged = sqlx::query!(
            "DELETE FROM key_value
             WHERE rowid IN (SELECT rowid FROM key_value WHERE expires_at <= ? LIMIT ?)",
            now,
            limit,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(purged.rows_affected())
    }
}

#[async_trait]
impl Maintenance for Sqlite {
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let values = self.purge_values(now, limit).await?;
        let clients = Clients::purge(self, now, limit).await?;
        let grants = Grants::purge(self, now - TOMBSTONE_LIFE, limit).await?;
        Ok(values + clients + grants)
    }
}
