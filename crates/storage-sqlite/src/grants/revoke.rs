//! The ends of grants. Whoever ends them, each end stands in the change feed, pending grants included,
//! so that their codes are worth nothing any more.

use model::{GrantId, TenantId, Timestamp};
use storage::{
    ChangeKind, Result, TOMBSTONE_LIFE,
    repo::{GrantsOf, SIBLING_LIFE, SignInMethod},
};

use crate::{database::Write, failed, row::id};

/// A grant that a write is about.
struct Found {
    id: Vec<u8>,
    tenant: Vec<u8>,
}

impl Write {
    /// Ends one grant. `false` if it had ended or is not there.
    pub(super) async fn revoke_grant(&mut self, grant: GrantId, now: Timestamp) -> Result<bool> {
        Ok(self.end_grants(&GrantsOf::Grant(grant), now).await? > 0)
    }

    /// Ends all grants of something. Returns how many.
    pub(crate) async fn end_grants(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let found = self.grants_of(of).await?;
        let now = now.millis();
        for (grant, tenant) in &found {
            let key = grant.bytes().as_slice();
            sqlx::query!(r#"UPDATE "grant" SET state = 'revoked', revoked_at = ? WHERE id = ?"#, now, key)
                .execute(self.on())
                .await
                .map_err(failed)?;
            self.change(ChangeKind::Grant, Some(*tenant), grant.bytes()).await?;
        }
        Ok(found.len() as u64)
    }

    /// Raises the versions of all grants of something. Returns how many.
    pub(super) async fn raise_grants(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let found = self.grants_of(of).await?;
        let now = now.millis();
        for (grant, tenant) in &found {
            let key = grant.bytes().as_slice();
            sqlx::query!(r#"UPDATE "grant" SET version = version + 1, raised_at = ? WHERE id = ?"#, now, key)
                .execute(self.on())
                .await
                .map_err(failed)?;
            self.change(ChangeKind::GrantVersion, Some(*tenant), grant.bytes()).await?;
        }
        Ok(found.len() as u64)
    }

    /// The grants of something that have not ended.
    async fn grants_of(&mut self, of: &GrantsOf) -> Result<Vec<(GrantId, TenantId)>> {
        let (mut grant, mut user, mut tenant, mut server, mut client, mut method) = Default::default();
        let bytes = |id: &[u8; 16]| Some(id.to_vec());
        match of {
            GrantsOf::Grant(id) => grant = bytes(id.bytes()),
            GrantsOf::User(id) => user = bytes(id.bytes()),
            GrantsOf::Member(of, id) => (tenant, user) = (bytes(of.bytes()), bytes(id.bytes())),
            GrantsOf::Client(of, id) => (tenant, client) = (of.and_then(|of| bytes(of.bytes())), Some(id.clone())),
            GrantsOf::Tenant(id) => tenant = bytes(id.bytes()),
            GrantsOf::Server(of, id) => (tenant, server) = (bytes(of.bytes()), bytes(id.bytes())),
            GrantsOf::Connection(id) => method = Some(SignInMethod::Connection(*id).to_string()),
        }
        let found = self.select_grants(grant, user, tenant, server, client, method).await?;
        found.iter().map(|found| Ok((id("grant.id", &found.id)?, id("grant.tenant", &found.tenant)?))).collect()
    }

    /// Each kind of question is a statement of its own, so that each has its index.
    async fn select_grants(
        &mut self,
        grant: Option<Vec<u8>>,
        user: Option<Vec<u8>>,
        tenant: Option<Vec<u8>>,
        server: Option<Vec<u8>>,
        client: Option<String>,
        method: Option<String>,
    ) -> Result<Vec<Found>> {
        macro_rules! select {
            ($condition:literal, $($argument:expr),+) => {
                sqlx::query_as!(
                    Found,
                    r#"SELECT id, tenant FROM "grant" WHERE "# + $condition + r#" AND state <> 'revoked'"#,
                    $($argument),+
                )
                .fetch_all(self.on())
                .await
            };
        }
        let found = match (grant, user, tenant, server, client, method) {
            (Some(grant), ..) => select!("id = ?", grant),
            (_, Some(user), Some(tenant), ..) => select!(r#"tenant = ? AND "user" = ?"#, tenant, user),
            (_, Some(user), ..) => select!(r#""user" = ?"#, user),
            (_, _, Some(tenant), Some(server), ..) => select!("tenant = ? AND server = ?", tenant, server),
            (_, _, Some(tenant), _, Some(client), _) => select!("tenant = ? AND client_id = ?", tenant, client),
            (_, _, Some(tenant), ..) => select!("tenant = ?", tenant),
            (.., Some(client), _) => select!("client_id = ?", client),
            (.., method) => select!("method = ?", method),
        };
        found.map_err(failed)
    }

    /// Removes what ended before `before`; at most `limit` of each kind.
    pub(super) async fn purge_grants(&mut self, before: Timestamp, limit: u32) -> Result<u64> {
        let unused = (before + TOMBSTONE_LIFE - SIBLING_LIFE).millis();
        let before = before.millis();
        let codes = sqlx::query!(
            "DELETE FROM code WHERE hash IN (SELECT hash FROM code WHERE expires_at < ? LIMIT ?)",
            before,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        let tokens = sqlx::query!(
            "DELETE FROM revoked_token WHERE id IN (SELECT id FROM revoked_token WHERE expires_at < ? LIMIT ?)",
            before,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        let siblings = sqlx::query!(
            r#"DELETE FROM refresh
               WHERE hash IN (SELECT leaf.hash FROM refresh AS leaf
                              WHERE leaf.parent IS NOT NULL AND leaf.issued_at < ? AND leaf.rotated_at IS NULL
                                AND leaf.used_at IS NULL AND leaf.superseded_at IS NULL
                                AND EXISTS (SELECT 1 FROM refresh AS other
                                            WHERE other.parent = leaf.parent AND other.hash <> leaf.hash
                                              AND (other.rotated_at IS NOT NULL OR other.used_at IS NOT NULL))
                              LIMIT ?)"#,
            unused,
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
        let purged = [codes, tokens, siblings, refresh, ended, pending];
        Ok(purged.iter().map(sqlx::sqlite::SqliteQueryResult::rows_affected).sum())
    }
}
