mod codes;
mod revoke;
mod rotate;
mod tokens;

use async_trait::async_trait;
use model::{GrantId, Timestamp, TokenId, UserId};
use storage::{
    Result, StorageError,
    repo::{
        AuditEvent, Code, Grant, GrantState, Grants, GrantsOf, Raised, Redeemed, Refresh, RefreshFamily, Replacement,
        Revoked, RevokedToken, Rotated, SignInMethod, TokenHash,
    },
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, from_text, id, newest_first, or_taken, time, word},
};

struct GrantRow {
    id: Vec<u8>,
    user: Vec<u8>,
    method: String,
    tenant: Vec<u8>,
    server: Vec<u8>,
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
            id: id("grant.id", &self.id)?,
            user: id("grant.user", &self.user)?,
            method: word("grant.method", &self.method)?,
            tenant: id("grant.tenant", &self.tenant)?,
            server: id("grant.server", &self.server)?,
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
    /// Whether the person, their membership, the server and the connection of a grant are there.
    async fn may_rest(&mut self, grant: &Grant) -> Result<bool> {
        let (user, tenant, server) =
            (grant.user.bytes().as_slice(), grant.tenant.bytes().as_slice(), grant.server.bytes().as_slice());
        let connection = match grant.method {
            SignInMethod::Local => None,
            SignInMethod::Connection(id) => Some(id.bytes().to_vec()),
        };
        // A membership is there only while both its tenant and its person are.
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM member WHERE tenant = ?1 AND "user" = ?2)
                  AND EXISTS (SELECT 1 FROM server WHERE tenant = ?1 AND id = ?3)
                  AND (?4 IS NULL OR EXISTS (SELECT 1 FROM connection WHERE id = ?4)) AS "may!: bool""#,
            tenant,
            user,
            server,
            connection,
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)
    }

    async fn insert_grant(&mut self, grant: &Grant) -> Result<()> {
        let (id, user, tenant) =
            (grant.id.bytes().as_slice(), grant.user.bytes().as_slice(), grant.tenant.bytes().as_slice());
        let (server, method) = (grant.server.bytes().as_slice(), grant.method.to_string());
        let (resource, scopes) = (grant.resource.as_str(), grant.scopes.to_string());
        let (state, revoked_at) = columns(grant.state);
        let (created_at, expires_at) = (grant.created_at.millis(), grant.expires_at.millis());
        let last_used_at = grant.last_used_at.map(Timestamp::millis);
        sqlx::query!(
            r#"INSERT INTO "grant"
                   (id, "user", method, tenant, server, client_id, client_name, resource, scopes, state,
                    revoked_at, version, created_at, last_used_at, expires_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"#,
            id,
            user,
            method,
            tenant,
            server,
            grant.client_id,
            grant.client_name,
            resource,
            scopes,
            state,
            revoked_at,
            grant.version,
            created_at,
            last_used_at,
            expires_at,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the grant"))?;
        Ok(())
    }
}

#[async_trait]
impl Grants for Sqlite {
    async fn authorize(&self, grant: &Grant, code: &Code, audit: &AuditEvent) -> Result<()> {
        if code.grant != grant.id {
            return Err(StorageError::Missing("the code's grant"));
        }
        let mut write = self.write().await?;
        if !write.may_rest(grant).await? {
            return Err(StorageError::Missing("what the grant rests on"));
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
        let code = code.as_slice();
        let mut write = self.write().await?;
        sqlx::query!("UPDATE code SET failures = failures + 1 WHERE hash = ?", code)
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
        let mut read = self.read().acquire().await.map_err(failed)?;
        grant_on(&mut read, id).await
    }

    async fn of_user(&self, user: UserId, now: Timestamp, before: Option<GrantId>, limit: u32) -> Result<Vec<Grant>> {
        let (user, now, before) = (user.bytes().as_slice(), now.millis(), newest_first(before));
        let rows = sqlx::query_as!(
            GrantRow,
            r#"SELECT id, "user", method, tenant, server, client_id, client_name, resource, scopes, state,
                      revoked_at, version, created_at, last_used_at, expires_at
               FROM "grant"
               WHERE "user" = ? AND state = 'active' AND expires_at > ? AND id < ?
               ORDER BY id DESC
               LIMIT ?"#,
            user,
            now,
            before,
            limit,
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
        // Any id is greater than no bytes.
        let (at, grant) = after.map_or((since, Vec::new()), |last| (last.at, last.grant.bytes().to_vec()));
        let (since, at) = (since.millis(), at.millis());
        let rows = sqlx::query!(
            r#"SELECT revoked_at AS "at!", id FROM "grant"
               WHERE revoked_at >= ?1 AND (revoked_at, id) > (?2, ?3)
               ORDER BY revoked_at, id
               LIMIT ?4"#,
            since,
            at,
            grant,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.iter().map(|row| Ok(Revoked { at: time(row.at), grant: id("grant.id", &row.id)? })).collect()
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let mut write = self.write().await?;
        let purged = write.purge_grants(before, limit).await?;
        write.commit().await?;
        Ok(purged)
    }
}

async fn grant_on(read: &mut sqlx::SqliteConnection, id: GrantId) -> Result<Option<Grant>> {
    let id = id.bytes().as_slice();
    let row = sqlx::query_as!(
        GrantRow,
        r#"SELECT id, "user", method, tenant, server, client_id, client_name, resource, scopes, state,
                  revoked_at, version, created_at, last_used_at, expires_at
           FROM "grant"
           WHERE id = ?"#,
        id,
    )
    .fetch_optional(read)
    .await
    .map_err(failed)?;
    row.map(GrantRow::parse).transpose()
}
