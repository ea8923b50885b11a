use model::Timestamp;
use storage::{Owner, Result};

use crate::{Postgres, database::Write, failed};

impl Write {
    /// Removes every value of an owner.
    pub(crate) async fn delete_values(&mut self, owner: Owner) -> Result<()> {
        sqlx::query!("DELETE FROM key_value WHERE owner = $1", owner.to_string())
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(())
    }
}

impl Postgres {
    /// Removes values that have expired. Leaves out rows that somebody is writing, so that several replicas
    /// clean up without waiting for each other.
    pub(crate) async fn purge_values(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let purged = sqlx::query!(
            "DELETE FROM key_value
             WHERE ctid IN (SELECT ctid FROM key_value WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
               AND expires_at <= $1",
            now.millis(),
            i64::from(limit),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(purged.rows_affected())
    }
}
