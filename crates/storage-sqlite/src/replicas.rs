use async_trait::async_trait;
use model::{ReplicaId, Timestamp};
use storage::{
    Result,
    repo::{Replica, Replicas},
};

use crate::{
    Sqlite, failed,
    row::{count, id, time},
};

#[async_trait]
impl Replicas for Sqlite {
    async fn beat(&self, replica: &Replica) -> Result<()> {
        let (id, seen_at) = (replica.id.bytes().as_slice(), replica.seen_at.millis());
        let position = i64::try_from(replica.position).unwrap_or(i64::MAX);
        let mut write = self.write().await?;
        sqlx::query!(
            "INSERT INTO replica (id, seen_at, position)
             VALUES (?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, position = excluded.position",
            id,
            seen_at,
            position,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await
    }

    async fn live(&self, since: Timestamp) -> Result<Vec<Replica>> {
        let since = since.millis();
        let rows = sqlx::query!("SELECT id, seen_at, position FROM replica WHERE seen_at >= ? ORDER BY id", since)
            .fetch_all(self.read())
            .await
            .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(Replica {
                    id: id("replica.id", &row.id)?,
                    seen_at: time(row.seen_at),
                    position: count("replica.position", row.position)?,
                })
            })
            .collect()
    }

    async fn leave(&self, id: ReplicaId) -> Result<()> {
        let id = id.bytes().as_slice();
        let mut write = self.write().await?;
        sqlx::query!("DELETE FROM replica WHERE id = ?", id).execute(write.on()).await.map_err(failed)?;
        write.commit().await
    }
}

impl Sqlite {
    /// Forgets replicas that were not seen since `since`: they died without a word.
    pub(crate) async fn purge_replicas(&self, since: Timestamp, limit: u32) -> Result<u64> {
        let since = since.millis();
        let mut write = self.write().await?;
        let purged = sqlx::query!(
            "DELETE FROM replica WHERE id IN (SELECT id FROM replica WHERE seen_at < ? LIMIT ?)",
            since,
            limit,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(purged.rows_affected())
    }
}
