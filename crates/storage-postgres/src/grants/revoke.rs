//! The ends of grants. Whoever ends them, each end stands in the change feed, pending grants included,
//! so that their codes are worth nothing any more.
//!
//! Where several end at once they are locked in order of id, so that two who end some of the same grants
//! do not wait for each other.

use model::{ConnectionId, GrantId, ServerId, TenantId, Timestamp, UserId};
use storage::{ChangeKind, Result, repo::SignInMethod};
use uuid::Uuid;

use crate::{Postgres, database::Write, row::failed};

/// What a revoking statement returns.
struct Ended {
    id: Uuid,
    tenant: Uuid,
}

impl Write {
    /// Ends one grant. `false` if it had ended or is not there.
    pub(super) async fn revoke_grant(&mut self, grant: GrantId, now: Timestamp) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = $1
               WHERE id = $2 AND state <> 'revoked'
               RETURNING id, tenant"#,
            now.millis(),
            grant.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    pub(crate) async fn revoke_of_user(&mut self, user: UserId, now: Timestamp) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"WITH ending AS (SELECT id FROM "grant"
                              WHERE "user" = $2 AND state <> 'revoked'
                              ORDER BY id FOR NO KEY UPDATE)
               UPDATE "grant" SET state = 'revoked', revoked_at = $1
               FROM ending
               WHERE "grant".id = ending.id
               RETURNING "grant".id, "grant".tenant"#,
            now.millis(),
            user.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    pub(crate) async fn revoke_of_member(&mut self, tenant: TenantId, user: UserId, now: Timestamp) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"WITH ending AS (SELECT id FROM "grant"
                              WHERE tenant = $2 AND "user" = $3 AND state <> 'revoked'
                              ORDER BY id FOR NO KEY UPDATE)
               UPDATE "grant" SET state = 'revoked', revoked_at = $1
               FROM ending
               WHERE "grant".id = ending.id
               RETURNING "grant".id, "grant".tenant"#,
            now.millis(),
            tenant.uuid(),
            user.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    pub(crate) async fn revoke_of_server(
        &mut self,
        tenant: TenantId,
        server: ServerId,
        now: Timestamp,
    ) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"WITH ending AS (SELECT id FROM "grant"
                              WHERE tenant = $2 AND server = $3 AND state <> 'revoked'
                              ORDER BY id FOR NO KEY UPDATE)
               UPDATE "grant" SET state = 'revoked', revoked_at = $1
               FROM ending
               WHERE "grant".id = ending.id
               RETURNING "grant".id, "grant".tenant"#,
            now.millis(),
            tenant.uuid(),
            server.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    pub(crate) async fn revoke_of_tenant(&mut self, tenant: TenantId, now: Timestamp) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"WITH ending AS (SELECT id FROM "grant"
                              WHERE tenant = $2 AND state <> 'revoked'
                              ORDER BY id FOR NO KEY UPDATE)
               UPDATE "grant" SET state = 'revoked', revoked_at = $1
               FROM ending
               WHERE "grant".id = ending.id
               RETURNING "grant".id, "grant".tenant"#,
            now.millis(),
            tenant.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    pub(crate) async fn revoke_of_connection(&mut self, connection: ConnectionId, now: Timestamp) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"WITH ending AS (SELECT id FROM "grant"
                              WHERE method = $2 AND state <> 'revoked'
                              ORDER BY id FOR NO KEY UPDATE)
               UPDATE "grant" SET state = 'revoked', revoked_at = $1
               FROM ending
               WHERE "grant".id = ending.id
               RETURNING "grant".id, "grant".tenant"#,
            now.millis(),
            SignInMethod::Connection(connection).to_string(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    /// Ends the grants of a client, in one tenant or in all.
    pub(crate) async fn revoke_of_client(
        &mut self,
        tenant: Option<TenantId>,
        client_id: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let ended = sqlx::query_as!(
            Ended,
            r#"WITH ending AS (SELECT id FROM "grant"
                              WHERE client_id = $2 AND ($3::uuid IS NULL OR tenant = $3) AND state <> 'revoked'
                              ORDER BY id FOR NO KEY UPDATE)
               UPDATE "grant" SET state = 'revoked', revoked_at = $1
               FROM ending
               WHERE "grant".id = ending.id
               RETURNING "grant".id, "grant".tenant"#,
            now.millis(),
            client_id,
            tenant.map(TenantId::uuid),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note_ends(&ended))
    }

    /// Appends to the feed; `true` if anything ended.
    fn note_ends(&mut self, ended: &[Ended]) -> bool {
        for Ended { id, tenant } in ended {
            self.change(ChangeKind::Grant, Some(TenantId::from_uuid(*tenant)), id.as_bytes());
        }
        !ended.is_empty()
    }
}

impl Postgres {
    /// Removes what ended before `before`; at most `limit` of each kind. Each kind is a transaction of its
    /// own, and what somebody else is at is left to the next time: clean-up waits for nobody, and nobody
    /// long for it.
    pub(super) async fn purge_grants(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let (before, limit) = (before.millis(), i64::from(limit));
        let codes = sqlx::query!(
            "DELETE FROM code
             WHERE hash IN (SELECT hash FROM code WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            before,
            limit,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        let refresh = sqlx::query!(
            "DELETE FROM refresh
             WHERE hash IN (SELECT hash FROM refresh WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            before,
            limit,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        let ended = sqlx::query!(
            r#"DELETE FROM "grant"
               WHERE id IN (SELECT id FROM "grant" WHERE revoked_at < $1 OR expires_at < $1 LIMIT $2
                            FOR UPDATE SKIP LOCKED)"#,
            before,
            limit,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        // A pending grant came to nothing when its code has gone unused.
        let pending = sqlx::query!(
            r#"DELETE FROM "grant"
               WHERE id IN (SELECT id FROM "grant"
                            WHERE state = 'pending' AND created_at < $1
                              AND NOT EXISTS (SELECT 1 FROM code WHERE code."grant" = "grant".id)
                            LIMIT $2
                            FOR UPDATE SKIP LOCKED)"#,
            before,
            limit,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok([codes, refresh, ended, pending].iter().map(sqlx::postgres::PgQueryResult::rows_affected).sum())
    }
}
