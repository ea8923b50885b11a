use async_trait::async_trait;
use storage::{Change, Owner, Result, repo::Changes};

use crate::{
    Postgres, failed,
    row::{count, id, word},
};

#[async_trait]
impl Changes for Postgres {
    async fn head(&self) -> Result<u64> {
        let head = sqlx::query_scalar!(r#"SELECT coalesce(max(sequence), 0) AS "head!" FROM change"#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        count("change.sequence", head)
    }

    async fn oldest(&self) -> Result<u64> {
        let oldest = sqlx::query_scalar!(r#"SELECT coalesce(min(sequence), 0) AS "oldest!" FROM change"#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        count("change.sequence", oldest)
    }

    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<Change>> {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        let rows = sqlx::query!(
            "SELECT sequence, kind, tenant, subject
             FROM change
             WHERE sequence > $1
             ORDER BY sequence
             LIMIT $2",
            sequence,
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(Change {
                    sequence: count("change.sequence", row.sequence)?,
                    kind: word("change.kind", &row.kind)?,
                    tenant: row.tenant.map(id),
                    subject: row.subject.into_bytes(),
                })
            })
            .collect()
    }

    async fn data_keys_changed(&self, owners: &[Owner]) -> Result<u64> {
        let mut write = self.write().await?;
        for owner in owners {
            write.change_keys(*owner);
        }
        write.commit().await?;
        self.head().await
    }
}
