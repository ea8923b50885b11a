//! Access tokens: which were seen, which are no good before their time.

use model::{GrantId, Timestamp, TokenId};
use storage::{
    ChangeKind, Result,
    repo::{Raised, RevokedToken},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, id, time},
};

impl Write {
    pub(super) async fn note_uses(&mut self, tokens: &[TokenId], at: Timestamp) -> Result<()> {
        let at = at.millis();
        for token in tokens {
            let token = token.bytes().as_slice();
            sqlx::query!("UPDATE refresh SET used_at = ? WHERE token = ? AND used_at IS NULL", at, token)
                .execute(self.on())
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// `false` if it was revoked already.
    pub(super) async fn revoke_token(&mut self, token: &RevokedToken) -> Result<bool> {
        let (key, tenant) = (token.id.bytes().as_slice(), token.tenant.bytes().as_slice());
        let expires_at = token.expires_at.millis();
        let added = sqlx::query!(
            "INSERT INTO revoked_token (id, tenant, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            key,
            tenant,
            expires_at,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        self.change(ChangeKind::Token, Some(token.tenant), token.id.bytes()).await?;
        Ok(true)
    }
}

impl Sqlite {
    pub(super) async fn versions_of(&self, ids: &[GrantId]) -> Result<Vec<Raised>> {
        let mut read = self.read().begin().await.map_err(failed)?;
        let mut found = Vec::new();
        for grant in ids {
            let key = grant.bytes().as_slice();
            let row = sqlx::query!(
                r#"SELECT raised_at AS "at!", version FROM "grant" WHERE id = ? AND raised_at IS NOT NULL"#,
                key,
            )
            .fetch_optional(&mut *read)
            .await
            .map_err(failed)?;
            let Some(row) = row else { continue };
            found.push(Raised { at: time(row.at), grant: *grant, version: count("grant.version", row.version)? });
        }
        Ok(found)
    }

    pub(super) async fn raised_after(
        &self,
        since: Timestamp,
        after: Option<&Raised>,
        limit: u32,
    ) -> Result<Vec<Raised>> {
        // Any id is greater than no bytes.
        let (at, grant) = after.map_or((since, Vec::new()), |last| (last.at, last.grant.bytes().to_vec()));
        let (since, at) = (since.millis(), at.millis());
        let rows = sqlx::query!(
            r#"SELECT raised_at AS "at!", id, version FROM "grant"
               WHERE raised_at >= ?1 AND (raised_at, id) > (?2, ?3)
               ORDER BY raised_at, id
               LIMIT ?4"#,
            since,
            at,
            grant,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let version = count("grant.version", row.version)?;
                Ok(Raised { at: time(row.at), grant: id("grant.id", &row.id)?, version })
            })
            .collect()
    }

    pub(super) async fn revoked_tokens_after(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<RevokedToken>> {
        let (now, after) = (now.millis(), after.map_or_else(Vec::new, |id| id.bytes().to_vec()));
        let rows = sqlx::query!(
            "SELECT id, tenant, expires_at FROM revoked_token WHERE expires_at > ? AND id > ? ORDER BY id LIMIT ?",
            now,
            after,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(RevokedToken {
                    id: id("revoked_token.id", &row.id)?,
                    tenant: id("revoked_token.tenant", &row.tenant)?,
                    expires_at: time(row.expires_at),
                })
            })
            .collect()
    }
}
