//! The ends of grants. Whoever ends them, each end stands in the change feed, pending grants included,
//! so that their codes are worth nothing any more.
//!
//! Where several end at once they are locked in order of id, so that two who end some of the same grants
//! do not wait for each other.
//!
//! Something may have any number of grants. Before the transaction that ends them, for what it removes or blocks, all
//! but a few end in transactions of [`AT_ONCE`]; that one ends the rest, so that no grant outlives what it rests on. If
//! it fails in between, some grants have ended, and nothing else has happened.

use model::{GrantId, TenantId, Timestamp};
use storage::{
    AT_ONCE, ChangeKind, Result, TOMBSTONE_LIFE,
    repo::{GrantsOf, SIBLING_LIFE, SignInMethod},
};
use uuid::Uuid;

use crate::{Postgres, database::Write, row::failed};

/// A grant that a write is about.
struct Found {
    id: Uuid,
    tenant: Uuid,
}

impl Write {
    /// Ends one grant. `false` if it had ended or is not there.
    pub(super) async fn revoke_grant(&mut self, grant: GrantId, now: Timestamp) -> Result<bool> {
        Ok(self.end_grants(&GrantsOf::Grant(grant), now).await? > 0)
    }

    /// Ends all grants of something. Returns how many.
    pub(crate) async fn end_grants(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let mut ended = 0;
        loop {
            // Fewer than there may be, if somebody else ended some of them: until there are none.
            match self.end_some(of, now).await? {
                0 => return Ok(ended),
                some => ended += some,
            }
        }
    }

    /// Ends some grants of something, [`AT_ONCE`] at most. Returns how many.
    async fn end_some(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let (found, ids) = self.lock_grants(of, i64::from(AT_ONCE)).await?;
        sqlx::query!(
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = $1 WHERE id = ANY ($2)"#,
            now.millis(),
            &ids
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note(ChangeKind::Grant, &found))
    }

    /// Raises the versions of all grants of something. Returns how many.
    pub(super) async fn raise_grants(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let (found, ids) = self.lock_grants(of, i64::MAX).await?;
        sqlx::query!(
            r#"UPDATE "grant" SET version = version + 1, raised_at = $1 WHERE id = ANY ($2)"#,
            now.millis(),
            &ids,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(self.note(ChangeKind::GrantVersion, &found))
    }

    /// Appends to the feed; how many there are.
    fn note(&mut self, kind: ChangeKind, found: &[Found]) -> u64 {
        for Found { id, tenant } in found {
            self.change(kind, Some(TenantId::from_uuid(*tenant)), id.as_bytes());
        }
        found.len() as u64
    }

    /// Grants of something that have not ended, `limit` at most, locked.
    async fn lock_grants(&mut self, of: &GrantsOf, limit: i64) -> Result<(Vec<Found>, Vec<Uuid>)> {
        // Each kind of question is a statement of its own, so that each has its index: found by that, then sorted.
        macro_rules! lock {
            ($condition:literal, $($argument:expr),+) => {
                sqlx::query_as!(
                    Found,
                    r#"SELECT id, tenant FROM "grant"
                       WHERE state <> 'revoked'
                         AND id IN (SELECT id FROM "grant" WHERE state <> 'revoked' AND "# + $condition + r#")
                       ORDER BY id FOR NO KEY UPDATE"#,
                    $($argument),+, limit
                )
                .fetch_all(self.on())
                .await
            };
        }
        let found = match of {
            GrantsOf::Grant(id) => lock!("id = $1 LIMIT $2", id.uuid()),
            GrantsOf::User(id) => lock!(r#""user" = $1 LIMIT $2"#, id.uuid()),
            GrantsOf::Member(tenant, id) => lock!(r#"tenant = $1 AND "user" = $2 LIMIT $3"#, tenant.uuid(), id.uuid()),
            GrantsOf::Client(None, id) => lock!("client_id = $1 LIMIT $2", id.as_str()),
            GrantsOf::Client(Some(tenant), id) => {
                lock!("tenant = $1 AND client_id = $2 LIMIT $3", tenant.uuid(), id.as_str())
            }
            GrantsOf::Tenant(id) => lock!("tenant = $1 LIMIT $2", id.uuid()),
            GrantsOf::Server(tenant, id) => lock!("tenant = $1 AND server = $2 LIMIT $3", tenant.uuid(), id.uuid()),
            GrantsOf::Connection(id) => {
                lock!("method = $1 LIMIT $2", SignInMethod::Connection(*id).to_string())
            }
        };
        let found = found.map_err(failed)?;
        let ids = found.iter().map(|found| found.id).collect();
        Ok((found, ids))
    }
}

impl Postgres {
    /// Ends grants of something for as long as there are too many for one transaction. Returns how many.
    pub(crate) async fn end_grants_ahead(&self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let mut ended = 0;
        loop {
            let mut write = self.write().await?;
            let some = write.end_some(of, now).await?;
            if some < u64::from(AT_ONCE) {
                // Left to the transaction that has more to do than this.
                return Ok(ended);
            }
            write.commit().await?;
            ended += some;
        }
    }

    /// Removes what ended before `before`; at most `limit` of each kind. Each kind is a transaction of its
    /// own, and what somebody else is at is left to the next time: clean-up waits for nobody, and nobody
    /// long for it.
    pub(super) async fn purge_grants(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let unused = (before + TOMBSTONE_LIFE - SIBLING_LIFE).millis();
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
        let tokens = sqlx::query!(
            "DELETE FROM revoked_token
             WHERE id IN (SELECT id FROM revoked_token WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            before,
            limit,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        let siblings = sqlx::query!(
            r#"DELETE FROM refresh
               WHERE hash IN (SELECT leaf.hash FROM refresh AS leaf
                              WHERE leaf.parent IS NOT NULL AND leaf.issued_at < $1 AND leaf.rotated_at IS NULL
                                AND leaf.used_at IS NULL AND leaf.superseded_at IS NULL
                                AND EXISTS (SELECT 1 FROM refresh AS other
                                            WHERE other.parent = leaf.parent AND other.hash <> leaf.hash
                                              AND (other.rotated_at IS NOT NULL OR other.used_at IS NOT NULL))
                              LIMIT $2
                              FOR UPDATE OF leaf SKIP LOCKED)"#,
            unused,
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
        let purged = [codes, tokens, siblings, refresh, ended, pending];
        Ok(purged.iter().map(sqlx::postgres::PgQueryResult::rows_affected).sum())
    }
}
