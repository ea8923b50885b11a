use async_trait::async_trait;
use model::{ReplicaId, Timestamp};
use storage::{
    Result,
    repo::{Replica, Replicas},
};

use crate::{
    Postgres, failed,
    row::{count, time},
};

#[async_trait]
impl Replicas for Postgres {
    async fn beat(&self, replica: &Replica) -> Result<()> {
        sqlx::query!(
            "INSERT INTO replica (id, seen_at, position)
             VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, position = excluded.position",
            replica.id.uuid(),
            replica.seen_at.millis(),
            i64::try_from(replica.position).unwrap_or(i64::MAX),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn live(&self, since: Timestamp) -> Result<Vec<Replica>> {
        let rows =
            sqlx::query!("SELECT id, seen_at, position FROM replica WHERE seen_at >= $1 ORDER BY id", since.millis())
                .fetch_all(self.read())
                .await
                .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(Replica {
                    id: ReplicaId::from_uuid(row.id),
                    seen_at: time(row.seen_at),
                    position: count("replica.position", row.position)?,
                })
            })
            .collect()
    }

    async fn leave(&self, id: ReplicaId) -> Result<()> {
        sqlx::query!("DELETE FROM replica WHERE id = $1", id.uuid()).execute(self.read()).await.map_err(failed)?;
        Ok(())
    }
}

impl Postgres {
    /// Forgets replicas that were not seen since `since`: they died without a word.
    pub(crate) async fn purge_replicas(&self, since: Timestamp, limit: u32) -> Result<u64> {
        let purged = sqlx::query!(
            "DELETE FROM replica
             WHERE id IN (SELECT id FROM replica WHERE seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            since.millis(),
            i64::from(limit),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(purged.rows_affected())
    }
}
