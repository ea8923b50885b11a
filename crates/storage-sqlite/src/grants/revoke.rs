//! The ends of grants. Whoever ends them, each end stands in the change feed, pending grants included,
//! so that their codes are worth nothing any more.

use model::{ConnectionId, GrantId, ServerId, TenantId, Timestamp, UserId};
use storage::{ChangeKind, Result, repo::SignInMethod};

use crate::{database::Write, failed, row::id};

/// What a revoking statement returns.
struct Ended {
    id: Vec<u8>,
    tenant: Vec<u8>,
}

impl Write {
    /// Ends one grant. `false` if it had ended or is not there.
    pub(super) async fn revoke_grant(&mut self, grant: GrantId, now: Timestamp) -> Result<bool> {
        let (grant, now) = (grant.bytes().as_slice(), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE id = ? AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            grant,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    pub(crate) async fn revoke_of_user(&mut self, user: UserId, now: Timestamp) -> Result<bool> {
        let (user, now) = (user.bytes().as_slice(), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE "user" = ? AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            user,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    pub(crate) async fn revoke_of_member(&mut self, tenant: TenantId, user: UserId, now: Timestamp) -> Result<bool> {
        let (tenant, user, now) = (tenant.bytes().as_slice(), user.bytes().as_slice(), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE tenant = ? AND "user" = ? AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            tenant,
            user,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    pub(crate) async fn revoke_of_server(
        &mut self,
        tenant: TenantId,
        server: ServerId,
        now: Timestamp,
    ) -> Result<bool> {
        let (tenant, server, now) = (tenant.bytes().as_slice(), server.bytes().as_slice(), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE tenant = ? AND server = ? AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            tenant,
            server,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    pub(crate) async fn revoke_of_tenant(&mut self, tenant: TenantId, now: Timestamp) -> Result<bool> {
        let (tenant, now) = (tenant.bytes().as_slice(), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE tenant = ? AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            tenant,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    pub(crate) async fn revoke_of_connection(&mut self, connection: ConnectionId, now: Timestamp) -> Result<bool> {
        let (method, now) = (SignInMethod::Connection(connection).to_string(), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE method = ? AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            method,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    /// Ends the grants of a client, in one tenant or in all.
    pub(crate) async fn revoke_of_client(
        &mut self,
        tenant: Option<TenantId>,
        client_id: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (tenant, now) = (tenant.map(|id| id.bytes().to_vec()), now.millis());
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?1
               WHERE client_id = ?2 AND (?3 IS NULL OR tenant = ?3) AND state <> 'revoked'
               RETURNING id AS "id!: Vec<u8>", tenant AS "tenant!: Vec<u8>""#,
            now,
            client_id,
            tenant,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.note_ends(&ended).await
    }

    /// Appends to the feed; `true` if anything ended.
    async fn note_ends(&mut self, ended: &[Ended]) -> Result<bool> {
        for Ended { id: grant, tenant } in ended {
            let (grant, tenant): (GrantId, _) = (id("grant.id", grant)?, id("grant.tenant", tenant)?);
            self.change(ChangeKind::Grant, Some(tenant), grant.bytes()).await?;
        }
        Ok(!ended.is_empty())
    }

    /// Removes what ended before `before`; at most `limit` of each kind.
    pub(super) async fn purge_grants(&mut self, before: Timestamp, limit: u32) -> Result<u64> {
        let before = before.millis();
        let codes = sqlx::query!(
            "DELETE FROM code WHERE hash IN (SELECT hash FROM code WHERE expires_at < ? LIMIT ?)",
            before,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        let refresh = sqlx::query!(
            "DELETE FROM refresh WHERE hash IN (SELECT hash FROM refresh WHERE expires_at < ? LIMIT ?)",
            before,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        let ended = sqlx::query!(
            r#"DELETE FROM "grant"
               WHERE id IN (SELECT id FROM "grant" WHERE revoked_at < ?1 OR expires_at < ?1 LIMIT ?2)"#,
            before,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // A pending grant came to nothing when its code has gone unused.
        let pending = sqlx::query!(
            r#"DELETE FROM "grant"
               WHERE id IN (SELECT id FROM "grant"
                            WHERE state = 'pending' AND created_at < ?
                              AND NOT EXISTS (SELECT 1 FROM code WHERE code."grant" = "grant".id)
                            LIMIT ?)"#,
            before,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok([codes, refresh, ended, pending].iter().map(sqlx::sqlite::SqliteQueryResult::rows_affected).sum())
    }
}
