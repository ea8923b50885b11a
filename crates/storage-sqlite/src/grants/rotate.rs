//! Refresh tokens: each use replaces the token.

use model::{GrantId, Timestamp};
use storage::{
    Result, StorageError,
    repo::{GrantsOf, Presented, Refresh, RefreshFamily, Replacement, Rotated, TokenHash, Verdict},
};

use super::grant_on;
use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, hash, id, or_taken, time, word},
};

impl Write {
    pub(super) async fn insert_refresh(&mut self, refresh: &Refresh) -> Result<()> {
        let (hash, grant) = (refresh.hash.as_slice(), refresh.grant.bytes().as_slice());
        let (parent, scopes) = (refresh.parent.map(Vec::from), refresh.scopes.to_string());
        let (issued_at, expires_at) = (refresh.issued_at.millis(), refresh.expires_at.millis());
        let rotated_at = refresh.rotated_at.map(Timestamp::millis);
        let token = refresh.token.map(|token| token.bytes().to_vec());
        let (used_at, superseded_at) =
            (refresh.used_at.map(Timestamp::millis), refresh.superseded_at.map(Timestamp::millis));
        sqlx::query!(
            r#"INSERT INTO refresh
                   (hash, "grant", parent, generation, scopes, issued_at, expires_at, token, used_at, rotated_at,
                    superseded_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"#,
            hash,
            grant,
            parent,
            refresh.generation,
            scopes,
            issued_at,
            expires_at,
            token,
            used_at,
            rotated_at,
            superseded_at,
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
            let (parent, at) = (parent.as_slice(), now.millis());
            sqlx::query!("UPDATE refresh SET rotated_at = ? WHERE hash = ?", at, parent)
                .execute(self.on())
                .await
                .map_err(failed)?;
        }
        self.insert_refresh(child).await?;
        self.activate(child.grant, now).await?;
        Ok(rotated)
    }

    /// What is known of a token of an active grant.
    async fn presented(&mut self, token: &TokenHash, grant: GrantId, now: Timestamp) -> Result<Option<Presented>> {
        let (token, grant, now) = (token.as_slice(), grant.bytes().as_slice(), now.millis());
        let row = sqlx::query!(
            r#"SELECT refresh.rotated_at, refresh.superseded_at IS NOT NULL AS "superseded!: bool",
                      (SELECT count(*) FROM refresh AS child
                       WHERE child.parent = refresh.hash AND child.superseded_at IS NULL) AS "children!: i64",
                      EXISTS (SELECT 1 FROM refresh AS child
                              WHERE child.parent = refresh.hash
                                AND (child.rotated_at IS NOT NULL OR child.used_at IS NOT NULL)) AS "used!: bool"
               FROM refresh JOIN "grant" ON "grant".id = refresh."grant"
               WHERE refresh.hash = ?1 AND refresh."grant" = ?2 AND refresh.expires_at > ?3
                 AND "grant".state = 'active' AND "grant".expires_at > ?3"#,
            token,
            grant,
            now,
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
        let (parent, at) = (parent.as_slice(), now.millis());
        sqlx::query!("UPDATE refresh SET superseded_at = ? WHERE parent = ? AND superseded_at IS NULL", at, parent)
            .execute(self.on())
            .await
            .map_err(failed)?;
        self.raise_grants(&GrantsOf::Grant(grant), now).await?;
        let grant = grant.bytes().as_slice();
        let version = sqlx::query_scalar!(r#"SELECT version FROM "grant" WHERE id = ?"#, grant)
            .fetch_one(self.on())
            .await
            .map_err(failed)?;
        Ok(Rotated::Recovered { version: count("grant.version", version)? })
    }
}

impl Sqlite {
    pub(super) async fn family(&self, token: &TokenHash) -> Result<Option<RefreshFamily>> {
        let mut read = self.read().begin().await.map_err(failed)?;
        let key = token.as_slice();
        let row = sqlx::query!(
            r#"SELECT "grant", parent, generation, scopes, issued_at, expires_at, token, used_at, rotated_at,
                      superseded_at,
                      (SELECT count(*) FROM refresh AS child
                       WHERE child.parent = refresh.hash AND child.superseded_at IS NULL) AS "children!: i64"
               FROM refresh
               WHERE hash = ?"#,
            key,
        )
        .fetch_optional(&mut *read)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let token = Refresh {
            hash: *token,
            grant: id("refresh.grant", &row.grant)?,
            parent: row.parent.map(|parent| hash("refresh.parent", &parent)).transpose()?,
            generation: count("refresh.generation", row.generation)?,
            scopes: word("refresh.scopes", &row.scopes)?,
            issued_at: time(row.issued_at),
            expires_at: time(row.expires_at),
            token: row.token.map(|token| id("refresh.token", &token)).transpose()?,
            used_at: row.used_at.map(time),
            rotated_at: row.rotated_at.map(time),
            superseded_at: row.superseded_at.map(time),
        };
        let grant = grant_on(&mut read, token.grant).await?;
        let grant = grant.ok_or_else(|| StorageError::damaged("refresh", "it has no grant"))?;
        Ok(Some(RefreshFamily { token, grant, children: count("refresh", row.children)? }))
    }
}
