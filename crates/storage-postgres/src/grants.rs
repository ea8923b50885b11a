mod codes;
mod revoke;
mod rotate;
mod tokens;

use async_trait::async_trait;
use model::{GrantId, ServerId, TenantId, Timestamp, TokenId, UserId};
use storage::{
    Result, StorageError,
    repo::{
        AuditEvent, Code, Grant, GrantState, Grants, GrantsOf, Raised, Redeemed, Refresh, RefreshFamily, Replacement,
        Revoked, RevokedToken, Rotated, SignInMethod, TokenHash,
    },
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    row::{count, failed, from_text, or_taken, time, word},
};

struct GrantRow {
    id: Uuid,
    user: Uuid,
    method: String,
    tenant: Uuid,
    server: Uuid,
    client_id: String,
    client_name: Option<String>,
    resource: String,
    scopes: String,
    state: String,
    revoked_at: Option<i64>,
    version: i64,
    created_at: i64,
    last_used_at: Option<i64>,
    expires_at: i64,
}

impl GrantRow {
    fn parse(self) -> Result<Grant> {
        let state = match (self.state.as_str(), self.revoked_at) {
            ("pending", None) => GrantState::Pending,
            ("active", None) => GrantState::Active,
            ("revoked", Some(at)) => GrantState::Revoked { at: time(at) },
            _ => return Err(StorageError::damaged("grant.state", "state and time do not fit")),
        };
        Ok(Grant {
            id: GrantId::from_uuid(self.id),
            user: UserId::from_uuid(self.user),
            method: word("grant.method", &self.method)?,
            tenant: TenantId::from_uuid(self.tenant),
            server: ServerId::from_uuid(self.server),
            client_id: self.client_id,
            client_name: self.client_name,
            resource: from_text("grant.resource", self.resource)?,
            scopes: word("grant.scopes", &self.scopes)?,
            state,
            version: count("grant.version", self.version)?,
            created_at: time(self.created_at),
            last_used_at: self.last_used_at.map(time),
            expires_at: time(self.expires_at),
        })
    }
}

/// How a state stands in its two columns.
fn columns(state: GrantState) -> (&'static str, Option<i64>) {
    match state {
        GrantState::Pending => ("pending", None),
        GrantState::Active => ("active", None),
        GrantState::Revoked { at } => ("revoked", Some(at.millis())),
    }
}

impl Write {
    async fn insert_grant(&mut self, grant: &Grant) -> Result<()> {
        let (state, revoked_at) = columns(grant.state);
        sqlx::query!(
            r#"INSERT INTO "grant"
                   (id, "user", method, tenant, server, client_id, client_name, resource, scopes, state,
                    revoked_at, version, created_at, last_used_at, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"#,
            grant.id.uuid(),
            grant.user.uuid(),
            grant.method.to_string(),
            grant.tenant.uuid(),
            grant.server.uuid(),
            grant.client_id,
            grant.client_name.as_deref(),
            grant.resource.as_str(),
            grant.scopes.to_string(),
            state,
            revoked_at,
            i64::from(grant.version),
            grant.created_at.millis(),
            grant.last_used_at.map(Timestamp::millis),
            grant.expires_at.millis(),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the grant"))?;
        Ok(())
    }

    /// Makes a grant active, and used now. The grant is locked already.
    async fn activate(&mut self, grant: GrantId, now: Timestamp) -> Result<()> {
        sqlx::query!(
            r#"UPDATE "grant" SET state = 'active', last_used_at = $1 WHERE id = $2"#,
            now.millis(),
            grant.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl Grants for Postgres {
    async fn authorize(&self, grant: &Grant, code: &Code, audit: &AuditEvent) -> Result<()> {
        if code.grant != grant.id {
            return Err(StorageError::Missing("the code's grant"));
        }
        let mut write = self.write().await?;
        write.hold_access(grant.tenant, grant.user, grant.server).await?;
        if let SignInMethod::Connection(connection) = grant.method {
            write.hold_connection(connection).await?;
        }
        write.insert_grant(grant).await?;
        write.insert_code(code).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn code(&self, hash: &TokenHash) -> Result<Option<(Code, Grant)>> {
        self.code_and_grant(hash).await
    }

    async fn redeem(
        &self,
        code: &TokenHash,
        refresh: Option<&Refresh>,
        now: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Redeemed> {
        let mut write = self.write().await?;
        let Some(grant) = write.use_code(code, now).await? else { return Ok(Redeemed::No) };
        write.activate(grant, now).await?;
        if let Some(refresh) = refresh {
            if refresh.grant != grant {
                return Err(StorageError::Missing("the refresh token's grant"));
            }
            write.insert_refresh(refresh).await?;
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(Redeemed::Yes)
    }

    async fn count_failure(&self, code: &TokenHash) -> Result<()> {
        let mut write = self.write().await?;
        sqlx::query!("UPDATE code SET failures = failures + 1 WHERE hash = $1", code.as_slice())
            .execute(write.on())
            .await
            .map_err(failed)?;
        write.commit().await
    }

    async fn refresh(&self, hash: &TokenHash) -> Result<Option<RefreshFamily>> {
        self.family(hash).await
    }

    async fn rotate(
        &self,
        child: &Refresh,
        now: Timestamp,
        rules: &Replacement,
        audit: &AuditEvent,
    ) -> Result<Rotated> {
        let mut write = self.write().await?;
        let rotated = write.replace_refresh(child, now, rules).await?;
        if let Some(action) = rotated.action() {
            write.audit(&audit.clone().called(action)).await?;
            write.commit().await?;
        }
        Ok(rotated)
    }

    async fn note_uses(&self, tokens: &[TokenId], at: Timestamp) -> Result<()> {
        let mut write = self.write().await?;
        write.note_uses(tokens, at).await?;
        write.commit().await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Grant>> {
        let row = sqlx::query_as!(
            GrantRow,
            r#"SELECT id, "user", method, tenant, server, client_id, client_name, resource, scopes, state,
                      revoked_at, version, created_at, last_used_at, expires_at
               FROM "grant"
               WHERE id = $1"#,
            id.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(GrantRow::parse).transpose()
    }

    async fn of_user(&self, user: UserId, now: Timestamp, before: Option<GrantId>, limit: u32) -> Result<Vec<Grant>> {
        let rows = sqlx::query_as!(
            GrantRow,
            r#"SELECT id, "user", method, tenant, server, client_id, client_name, resource, scopes, state,
                      revoked_at, version, created_at, last_used_at, expires_at
               FROM "grant"
               WHERE "user" = $1 AND state = 'active' AND expires_at > $2 AND id < $3
               ORDER BY id DESC
               LIMIT $4"#,
            user.uuid(),
            now.millis(),
            before.map_or(Uuid::max(), GrantId::uuid),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(GrantRow::parse).collect()
    }

    async fn revoke(&self, id: GrantId, now: Timestamp, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.revoke_grant(id, now).await? {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn end(&self, of: &GrantsOf, now: Timestamp, audit: &AuditEvent) -> Result<u64> {
        let ahead = self.end_grants_ahead(of, now).await?;
        let mut write = self.write().await?;
        let ended = ahead + write.end_grants(of, now).await?;
        if ended > 0 {
            write.audit(audit).await?;
            write.commit().await?;
        }
        Ok(ended)
    }

    async fn raise(&self, of: &GrantsOf, now: Timestamp, audit: &AuditEvent) -> Result<u64> {
        let mut write = self.write().await?;
        let raised = write.raise_grants(of, now).await?;
        if raised > 0 {
            write.audit(audit).await?;
            write.commit().await?;
        }
        Ok(raised)
    }

    async fn versions(&self, ids: &[GrantId]) -> Result<Vec<Raised>> {
        self.versions_of(ids).await
    }

    async fn raised_since(&self, since: Timestamp, after: Option<&Raised>, limit: u32) -> Result<Vec<Raised>> {
        self.raised_after(since, after, limit).await
    }

    async fn revoke_token(&self, token: &RevokedToken, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.revoke_token(token).await? {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn revoked_tokens(&self, now: Timestamp, after: Option<TokenId>, limit: u32) -> Result<Vec<RevokedToken>> {
        self.revoked_tokens_after(now, after, limit).await
    }

    async fn revoked_since(&self, since: Timestamp, after: Option<&Revoked>, limit: u32) -> Result<Vec<Revoked>> {
        // No id is nil.
        let (at, grant) = after.map_or((since, Uuid::nil()), |last| (last.at, last.grant.uuid()));
        let rows = sqlx::query!(
            r#"SELECT revoked_at AS "at!", id FROM "grant"
               WHERE revoked_at >= $1 AND (revoked_at, id) > ($2, $3)
               ORDER BY revoked_at, id
               LIMIT $4"#,
            since.millis(),
            at.millis(),
            grant,
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        Ok(rows.into_iter().map(|row| Revoked { at: time(row.at), grant: GrantId::from_uuid(row.id) }).collect())
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.purge_grants(before, limit).await
    }
}
