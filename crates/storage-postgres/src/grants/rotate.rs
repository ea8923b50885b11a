//! Refresh tokens: each use replaces the token.

use model::{GrantId, Timestamp, TokenId};
use storage::{
    Result, StorageError,
    repo::{GrantsOf, Presented, Refresh, RefreshFamily, Replacement, Rotated, TokenHash, Verdict},
};
use uuid::Uuid;

use super::GrantRow;
use crate::{
    Postgres,
    database::Write,
    row::{count, failed, hash, or_taken, time, word},
};

/// A refresh token, its grant and its children, read in one statement so that they belong together.
struct FamilyRow {
    parent: Option<Vec<u8>>,
    generation: i64,
    token_scopes: String,
    issued_at: i64,
    token_expires_at: i64,
    token: Option<Uuid>,
    used_at: Option<i64>,
    rotated_at: Option<i64>,
    superseded_at: Option<i64>,
    children: i64,
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

impl FamilyRow {
    fn parse(self, token: &TokenHash) -> Result<RefreshFamily> {
        let token = Refresh {
            hash: *token,
            grant: GrantId::from_uuid(self.id),
            parent: self.parent.map(|parent| hash("refresh.parent", &parent)).transpose()?,
            generation: count("refresh.generation", self.generation)?,
            scopes: word("refresh.scopes", &self.token_scopes)?,
            issued_at: time(self.issued_at),
            expires_at: time(self.token_expires_at),
            token: self.token.map(TokenId::from_uuid),
            used_at: self.used_at.map(time),
            rotated_at: self.rotated_at.map(time),
            superseded_at: self.superseded_at.map(time),
        };
        let grant = GrantRow {
            id: self.id,
            user: self.user,
            method: self.method,
            tenant: self.tenant,
            server: self.server,
            client_id: self.client_id,
            client_name: self.client_name,
            resource: self.resource,
            scopes: self.scopes,
            state: self.state,
            revoked_at: self.revoked_at,
            version: self.version,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            expires_at: self.expires_at,
        };
        Ok(RefreshFamily { token, grant: grant.parse()?, children: count("refresh", self.children)? })
    }
}

impl Write {
    pub(super) async fn insert_refresh(&mut self, refresh: &Refresh) -> Result<()> {
        sqlx::query!(
            r#"INSERT INTO refresh
                   (hash, "grant", parent, generation, scopes, issued_at, expires_at, token, used_at, rotated_at,
                    superseded_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"#,
            refresh.hash.as_slice(),
            refresh.grant.uuid(),
            refresh.parent.as_ref().map(<[u8; 32]>::as_slice),
            i64::from(refresh.generation),
            refresh.scopes.to_string(),
            refresh.issued_at.millis(),
            refresh.expires_at.millis(),
            refresh.token.map(model::Id::uuid),
            refresh.used_at.map(Timestamp::millis),
            refresh.rotated_at.map(Timestamp::millis),
            refresh.superseded_at.map(Timestamp::millis),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the refresh token"))?;
        Ok(())
    }

    pub(super) async fn replace_refresh(
        &mut self,
        child: &Refresh,
        now: Timestamp,
        rules: &Replacement,
    ) -> Result<Rotated> {
        let parent = child.parent.ok_or(StorageError::Missing("the refresh token's parent"))?;
        if !self.lock_active(child.grant, now).await? {
            return Ok(Rotated::No);
        }
        let Some(presented) = self.presented(&parent, child.grant, now).await? else { return Ok(Rotated::No) };
        let rotated = match rules.judge(&presented, now) {
            Verdict::Replace => Rotated::First,
            Verdict::AddSibling => Rotated::Sibling,
            Verdict::Recover => self.supersede(&parent, child.grant, now).await?,
            Verdict::EndGrant => {
                self.revoke_grant(child.grant, now).await?;
                return Ok(Rotated::Reused);
            }
            Verdict::Wait => return Ok(Rotated::TooMany),
        };
        if rotated != Rotated::Sibling {
            sqlx::query!("UPDATE refresh SET rotated_at = $1 WHERE hash = $2", now.millis(), parent.as_slice())
                .execute(self.on())
                .await
                .map_err(failed)?;
        }
        self.insert_refresh(child).await?;
        self.activate(child.grant, now).await?;
        Ok(rotated)
    }

    /// What is known of a token, whose grant is locked.
    async fn presented(&mut self, token: &TokenHash, grant: GrantId, now: Timestamp) -> Result<Option<Presented>> {
        let row = sqlx::query!(
            r#"SELECT rotated_at, superseded_at IS NOT NULL AS "superseded!",
                      (SELECT count(*) FROM refresh AS child
                       WHERE child.parent = refresh.hash AND child.superseded_at IS NULL) AS "children!",
                      EXISTS (SELECT 1 FROM refresh AS child
                              WHERE child.parent = refresh.hash
                                AND (child.rotated_at IS NOT NULL OR child.used_at IS NOT NULL)) AS "used!"
               FROM refresh
               WHERE hash = $1 AND "grant" = $2 AND expires_at > $3"#,
            token.as_slice(),
            grant.uuid(),
            now.millis(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        row.map(|row| {
            Ok(Presented {
                rotated_at: row.rotated_at.map(time),
                superseded: row.superseded,
                children: count("refresh", row.children)?,
                children_used: row.used,
            })
        })
        .transpose()
    }

    /// Takes the children of a token for lost, with their access tokens.
    async fn supersede(&mut self, parent: &TokenHash, grant: GrantId, now: Timestamp) -> Result<Rotated> {
        sqlx::query!(
            "UPDATE refresh SET superseded_at = $1 WHERE parent = $2 AND superseded_at IS NULL",
            now.millis(),
            parent.as_slice(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        self.raise_grants(&GrantsOf::Grant(grant), now).await?;
        let version = sqlx::query_scalar!(r#"SELECT version FROM "grant" WHERE id = $1"#, grant.uuid())
            .fetch_one(self.on())
            .await
            .map_err(failed)?;
        Ok(Rotated::Recovered { version: count("grant.version", version)? })
    }

    /// Locks a grant if tokens may be had for it, so that all that replace tokens of its family or end it
    /// take turns, and what is read next holds until the commit.
    async fn lock_active(&mut self, grant: GrantId, now: Timestamp) -> Result<bool> {
        let locked = sqlx::query_scalar!(
            r#"SELECT id FROM "grant" WHERE id = $1 AND state = 'active' AND expires_at > $2 FOR NO KEY UPDATE"#,
            grant.uuid(),
            now.millis(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        Ok(locked.is_some())
    }
}

impl Postgres {
    pub(super) async fn family(&self, token: &TokenHash) -> Result<Option<RefreshFamily>> {
        let row = sqlx::query_as!(
            FamilyRow,
            r#"SELECT refresh.parent, refresh.generation, refresh.scopes AS token_scopes, refresh.issued_at,
                      refresh.expires_at AS token_expires_at, refresh.token, refresh.used_at, refresh.rotated_at,
                      refresh.superseded_at,
                      (SELECT count(*) FROM refresh AS child
                       WHERE child.parent = refresh.hash AND child.superseded_at IS NULL) AS "children!",
                      "grant".id, "grant"."user", "grant".method, "grant".tenant, "grant".server, "grant".client_id,
                      "grant".client_name, "grant".resource, "grant".scopes, "grant".state, "grant".revoked_at, "grant".version,
                      "grant".created_at, "grant".last_used_at, "grant".expires_at
               FROM refresh JOIN "grant" ON "grant".id = refresh."grant"
               WHERE refresh.hash = $1"#,
            token.as_slice(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(|row| row.parse(token)).transpose()
    }
}
