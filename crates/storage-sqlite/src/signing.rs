use async_trait::async_trait;
use model::Timestamp;
use storage::{
    ChangeKind, ColumnPlace, Owner, Result,
    repo::{AuditEvent, KeyChange, KeyState, SigningKey, SigningKeys},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{or_taken, time, word},
};

fn private_place(kid: &str) -> ColumnPlace<'_> {
    ColumnPlace { owner: Owner::Platform, table: "signing_key", column: "private", row: kid.as_bytes() }
}

#[async_trait]
impl SigningKeys for Sqlite {
    async fn all(&self) -> Result<Vec<SigningKey>> {
        let rows = sqlx::query!(
            "SELECT kid, algorithm, private, state, created_at, changed_at, ends_at
             FROM signing_key
             ORDER BY created_at, kid"
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            keys.push(SigningKey {
                // What the others signed goes on to verify.
                private: self.open_unless_damaged(private_place(&row.kid), &row.private).await?,
                kid: row.kid,
                algorithm: row.algorithm,
                state: word("signing_key.state", &row.state)?,
                created_at: time(row.created_at),
                changed_at: time(row.changed_at),
                ends_at: row.ends_at.map(time),
            });
        }
        Ok(keys)
    }

    async fn change(
        &self,
        seen: &[(String, KeyState)],
        change: &KeyChange,
        now: Timestamp,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let mut sealed = Vec::with_capacity(change.add.len());
        for key in &change.add {
            let private = key.private.as_ref().map_or("", |private| private.expose());
            sealed.push(self.0.sealer.seal_column(private_place(&key.kid), private.as_bytes()).await?);
        }
        let mut write = self.write().await?;
        if !write.signing_keys_are(seen).await? {
            return Ok(false);
        }
        for (key, private) in change.add.iter().zip(&sealed) {
            write.add_signing_key(key, private).await?;
        }
        write.turn_signing_keys(change, now).await?;
        write.change(ChangeKind::SigningKeys, None, &[0; 16]).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }
}

impl Write {
    async fn signing_keys_are(&mut self, seen: &[(String, KeyState)]) -> Result<bool> {
        let rows = sqlx::query!("SELECT kid, state FROM signing_key ORDER BY kid")
            .fetch_all(self.on())
            .await
            .map_err(failed)?;
        let mut seen: Vec<_> = seen.iter().map(|(kid, state)| (kid.as_str(), state.as_str())).collect();
        seen.sort_unstable();
        Ok(rows.iter().map(|row| (row.kid.as_str(), row.state.as_str())).eq(seen))
    }

    async fn add_signing_key(&mut self, key: &SigningKey, private: &[u8]) -> Result<()> {
        let (state, created_at, changed_at) = (key.state.as_str(), key.created_at.millis(), key.changed_at.millis());
        let ends_at = key.ends_at.map(Timestamp::millis);
        sqlx::query!(
            "INSERT INTO signing_key (kid, algorithm, private, state, created_at, changed_at, ends_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            key.kid,
            key.algorithm,
            private,
            state,
            created_at,
            changed_at,
            ends_at,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the signing key"))?;
        Ok(())
    }

    async fn turn_signing_keys(&mut self, change: &KeyChange, now: Timestamp) -> Result<()> {
        let now = now.millis();
        for (kid, state, ends_at) in &change.turn {
            let (state, ends_at) = (state.as_str(), ends_at.map(Timestamp::millis));
            sqlx::query!(
                "UPDATE signing_key SET state = ?, changed_at = ?, ends_at = ? WHERE kid = ?",
                state,
                now,
                ends_at,
                kid,
            )
            .execute(self.on())
            .await
            .map_err(failed)?;
        }
        for kid in &change.remove {
            sqlx::query!("DELETE FROM signing_key WHERE kid = ?", kid).execute(self.on()).await.map_err(failed)?;
        }
        Ok(())
    }
}
