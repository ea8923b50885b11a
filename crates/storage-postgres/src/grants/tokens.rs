//! Access tokens: which were seen, which are no good before their time.

use model::{GrantId, TenantId, Timestamp, TokenId};
use storage::{
    ChangeKind, Result,
    repo::{Raised, RevokedToken},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    row::{count, failed, time},
};

impl Write {
    /// Their rows are locked in order, so that two replicas that saw the same tokens do not wait for each other;
    /// what is being replaced right now is in use anyway.
    pub(super) async fn note_uses(&mut self, tokens: &[TokenId], at: Timestamp) -> Result<()> {
        let tokens: Vec<Uuid> = tokens.iter().map(|token| token.uuid()).collect();
        sqlx::query!(
            "WITH seen AS (SELECT hash FROM refresh
                           WHERE token = ANY ($2) AND used_at IS NULL
                           ORDER BY hash FOR NO KEY UPDATE)
             UPDATE refresh SET used_at = $1 FROM seen WHERE refresh.hash = seen.hash",
            at.millis(),
            &tokens,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// `false` if it was revoked already.
    pub(super) async fn revoke_token(&mut self, token: &RevokedToken) -> Result<bool> {
        let added = sqlx::query!(
            "INSERT INTO revoked_token (id, tenant, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            token.id.uuid(),
            token.tenant.uuid(),
            token.expires_at.millis(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        self.change(ChangeKind::Token, Some(token.tenant), token.id.bytes());
        Ok(true)
    }
}

impl Postgres {
    pub(super) async fn versions_of(&self, ids: &[GrantId]) -> Result<Vec<Raised>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows = sqlx::query!(
            r#"SELECT raised_at AS "at!", id, version FROM "grant" WHERE id = ANY ($1) AND raised_at IS NOT NULL"#,
            &ids,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(|row| raised(row.at, row.id, row.version)).collect()
    }

    pub(super) async fn raised_after(
        &self,
        since: Timestamp,
        after: Option<&Raised>,
        limit: u32,
    ) -> Result<Vec<Raised>> {
        // No id is nil.
        let (at, grant) = after.map_or((since, Uuid::nil()), |last| (last.at, last.grant.uuid()));
        let rows = sqlx::query!(
            r#"SELECT raised_at AS "at!", id, version FROM "grant"
               WHERE raised_at >= $1 AND (raised_at, id) > ($2, $3)
               ORDER BY raised_at, id
               LIMIT $4"#,
            since.millis(),
            at.millis(),
            grant,
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(|row| raised(row.at, row.id, row.version)).collect()
    }

    pub(super) async fn revoked_tokens_after(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<RevokedToken>> {
        let rows = sqlx::query!(
            "SELECT id, tenant, expires_at FROM revoked_token WHERE expires_at > $1 AND id > $2 ORDER BY id LIMIT $3",
            now.millis(),
            after.map_or(Uuid::nil(), TokenId::uuid),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let parse = |id, tenant, expires_at| RevokedToken {
            id: TokenId::from_uuid(id),
            tenant: TenantId::from_uuid(tenant),
            expires_at: time(expires_at),
        };
        Ok(rows.into_iter().map(|row| parse(row.id, row.tenant, row.expires_at)).collect())
    }
}

fn raised(at: i64, grant: Uuid, version: i64) -> Result<Raised> {
    Ok(Raised { at: time(at), grant: GrantId::from_uuid(grant), version: count("grant.version", version)? })
}
