//! The ends of grants. Whoever ends them, each end stands in the change feed, pending grants included,
//! so that their codes are worth nothing any more.
//!
//! Something may have any number of grants. Before the transaction that ends them, for what it removes or blocks, all
//! but a few end in transactions of [`AT_ONCE`]; that one ends the rest, so that no grant outlives what it rests on. If
//! it fails in between, some grants have ended, and nothing else has happened.

use model::{GrantId, TenantId, Timestamp};
use storage::{
    AT_ONCE, ChangeKind, Result, TOMBSTONE_LIFE,
    repo::{GrantsOf, SIBLING_LIFE, SignInMethod},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{id, to_json},
};

/// A grant that a write is about.
struct Found {
    id: Vec<u8>,
    tenant: Vec<u8>,
}

/// The columns of a grant by which some are found: id, user, tenant, server, client and method.
type Columns = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<String>, Option<String>);

impl Write {
    /// Ends one grant. `false` if it had ended or is not there.
    pub(super) async fn revoke_grant(&mut self, grant: GrantId, now: Timestamp) -> Result<bool> {
        Ok(self.end_grants(&GrantsOf::Grant(grant), now).await? > 0)
    }

    /// Ends all grants of something. Returns how many.
    pub(crate) async fn end_grants(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let mut ended = 0;
        loop {
            match self.end_some(of, now).await? {
                0 => return Ok(ended),
                some => ended += some,
            }
        }
    }

    /// Ends some grants of something, [`AT_ONCE`] at most. Returns how many.
    async fn end_some(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let found = self.grants_of(of, AT_ONCE).await?;
        if found.is_empty() {
            return Ok(0);
        }
        // SQLite binds no lists, and JSON has no bytes.
        let ids = to_json(&found.iter().map(|(id, _)| id.uuid().simple().to_string()).collect::<Vec<_>>())?;
        let now = now.millis();
        sqlx::query!(
            r#"UPDATE "grant" SET state = 'revoked', revoked_at = ?
               WHERE id IN (SELECT unhex(value) FROM json_each(?))"#,
            now,
            ids,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        sqlx::query!(
            r#"INSERT INTO change (kind, tenant, subject)
               SELECT 'grant', tenant, id FROM "grant" WHERE id IN (SELECT unhex(value) FROM json_each(?)) ORDER BY id"#,
            ids,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        self.note_change();
        Ok(found.len() as u64)
    }

    /// Raises the versions of all grants of something. Returns how many.
    pub(super) async fn raise_grants(&mut self, of: &GrantsOf, now: Timestamp) -> Result<u64> {
        let found = self.grants_of(of, u32::MAX).await?;
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

    /// Grants of something that have not ended, `limit` at most.
    async fn grants_of(&mut self, of: &GrantsOf, limit: u32) -> Result<Vec<(GrantId, TenantId)>> {
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
        let found = self.select_grants((grant, user, tenant, server, client, method), limit).await?;
        found.iter().map(|found| Ok((id("grant.id", &found.id)?, id("grant.tenant", &found.tenant)?))).collect()
    }

    /// Each kind of question is a statement of its own, so that each has its index.
    async fn select_grants(&mut self, of: Columns, limit: u32) -> Result<Vec<Found>> {
        macro_rules! select {
            ($condition:literal, $($argument:expr),+) => {
                sqlx::query_as!(
                    Found,
                    r#"SELECT id, tenant FROM "grant" WHERE "# + $condition + r#" AND state <> 'revoked' LIMIT ?"#,
                    $($argument),+, limit
                )
                .fetch_all(self.on())
                .await
            };
        }
        let found = match of {
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

impl Sqlite {
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
}
