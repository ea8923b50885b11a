//! Refresh tokens: each use replaces the token.

use model::Timestamp;
use storage::{
    Result, StorageError,
    repo::{Refresh, RefreshFamily, Rotated, TokenHash},
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
        sqlx::query!(
            r#"INSERT INTO refresh
                   (hash, "grant", parent, generation, scopes, issued_at, expires_at, rotated_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)"#,
            hash,
            grant,
            parent,
            refresh.generation,
            scopes,
            issued_at,
            expires_at,
            rotated_at,
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
        grace_from: Timestamp,
        siblings: u32,
    ) -> Result<Rotated> {
        let parent = child.parent.ok_or(StorageError::Missing("the refresh token's parent"))?;
        let (parent, grant, at) = (parent.as_slice(), child.grant.bytes().as_slice(), now.millis());
        let row = sqlx::query!(
            r#"SELECT refresh.rotated_at,
                      (SELECT count(*) FROM refresh AS child WHERE child.parent = refresh.hash) AS "children!: i64"
               FROM refresh JOIN "grant" ON "grant".id = refresh."grant"
               WHERE refresh.hash = ?1 AND refresh."grant" = ?2 AND refresh.expires_at > ?3
                 AND "grant".state = 'active' AND "grant".expires_at > ?3"#,
            parent,
            grant,
            at,
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        let rotated = match row {
            None => Rotated::No,
            Some(row) => match row.rotated_at.map(time) {
                None => Rotated::First,
                Some(rotated) if rotated >= grace_from && row.children < i64::from(siblings) => Rotated::Sibling,
                Some(_) => Rotated::No,
            },
        };
        if rotated == Rotated::First {
            sqlx::query!("UPDATE refresh SET rotated_at = ? WHERE hash = ?", at, parent)
                .execute(self.on())
                .await
                .map_err(failed)?;
        }
        if rotated != Rotated::No {
            self.insert_refresh(child).await?;
            self.activate(child.grant, now).await?;
        }
        Ok(rotated)
    }
}

impl Sqlite {
    pub(super) async fn family(&self, token: &TokenHash) -> Result<Option<RefreshFamily>> {
        let mut read = self.read().begin().await.map_err(failed)?;
        let key = token.as_slice();
        let row = sqlx::query!(
            r#"SELECT "grant", parent, generation, scopes, issued_at, expires_at, rotated_at,
                      (SELECT count(*) FROM refresh AS child WHERE child.parent = refresh.hash) AS "children!: i64"
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
            rotated_at: row.rotated_at.map(time),
        };
        let grant = grant_on(&mut read, token.grant).await?;
        let grant = grant.ok_or_else(|| StorageError::damaged("refresh", "it has no grant"))?;
        Ok(Some(RefreshFamily { token, grant, children: count("refresh", row.children)? }))
    }
}
