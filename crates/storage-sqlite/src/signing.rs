use async_trait::async_trait;
use storage::{
    ChangeKind, ColumnPlace, Owner, Result,
    repo::{AuditEvent, SigningKey, SigningKeys},
};

use crate::{
    Sqlite, failed,
    row::{time, word},
};

fn private_place(kid: &str) -> ColumnPlace<'_> {
    ColumnPlace { owner: Owner::Platform, table: "signing_key", column: "private", row: kid.as_bytes() }
}

#[async_trait]
impl SigningKeys for Sqlite {
    async fn all(&self) -> Result<Vec<SigningKey>> {
        let rows =
            sqlx::query!("SELECT kid, algorithm, private, state, created_at FROM signing_key ORDER BY created_at, kid")
                .fetch_all(self.read())
                .await
                .map_err(failed)?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            // What the others signed goes on to verify.
            let Some(private) = self.open_unless_damaged(private_place(&row.kid), &row.private).await? else {
                continue;
            };
            keys.push(SigningKey {
                private,
                kid: row.kid,
                algorithm: row.algorithm,
                state: word("signing_key.state", &row.state)?,
                created_at: time(row.created_at),
            });
        }
        Ok(keys)
    }

    async fn insert_first(&self, key: &SigningKey, audit: &AuditEvent) -> Result<bool> {
        let private = self.0.sealer.seal_column(private_place(&key.kid), key.private.expose().as_bytes()).await?;
        let (state, created_at) = (key.state.as_str(), key.created_at.millis());
        let mut write = self.write().await?;
        let inserted = sqlx::query!(
            "INSERT INTO signing_key (kid, algorithm, private, state, created_at)
             SELECT ?, ?, ?, ?, ?
             WHERE NOT EXISTS (SELECT 1 FROM signing_key)",
            key.kid,
            key.algorithm,
            private,
            state,
            created_at,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        write.change(ChangeKind::SigningKeys, None, &[0; 16]).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }
}
