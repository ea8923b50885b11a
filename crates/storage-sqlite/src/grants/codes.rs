//! Authorization codes.

use model::{GrantId, Timestamp};
use storage::{
    Result, StorageError,
    repo::{Code, Grant, TokenHash},
};

use super::grant_on;
use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, id, or_taken, time},
};

impl Write {
    pub(super) async fn insert_code(&mut self, code: &Code) -> Result<()> {
        let (hash, grant) = (code.hash.as_slice(), code.grant.bytes().as_slice());
        let (expires_at, used_at) = (code.expires_at.millis(), code.used_at.map(Timestamp::millis));
        sqlx::query!(
            r#"INSERT INTO code
                   (hash, "grant", redirect_uri, redirect_uri_sent, challenge, expires_at, used_at, failures)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)"#,
            hash,
            grant,
            code.redirect_uri,
            code.redirect_uri_sent,
            code.challenge,
            expires_at,
            used_at,
            code.failures,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the code"))?;
        Ok(())
    }

    /// Marks a code as used, if it can be, and says whose it was: the single-use gate.
    pub(super) async fn use_code(&mut self, code: &TokenHash, now: Timestamp) -> Result<Option<GrantId>> {
        let (code, now) = (code.as_slice(), now.millis());
        let used = sqlx::query_scalar!(
            r#"UPDATE code SET used_at = ?1
               WHERE hash = ?2 AND used_at IS NULL AND expires_at > ?1 AND failures < 5
                 AND EXISTS (SELECT 1 FROM "grant"
                             WHERE "grant".id = code."grant" AND state <> 'revoked' AND "grant".expires_at > ?1)
               RETURNING "grant" AS "grant!: Vec<u8>""#,
            now,
            code,
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        used.map(|grant| id("code.grant", &grant)).transpose()
    }

    /// Makes a grant active, and used now.
    pub(super) async fn activate(&mut self, grant: GrantId, now: Timestamp) -> Result<()> {
        let (grant, now) = (grant.bytes().as_slice(), now.millis());
        sqlx::query!(r#"UPDATE "grant" SET state = 'active', last_used_at = ? WHERE id = ?"#, now, grant)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(())
    }
}

impl Sqlite {
    pub(super) async fn code_and_grant(&self, hash: &TokenHash) -> Result<Option<(Code, Grant)>> {
        let mut read = self.read().begin().await.map_err(failed)?;
        let key = hash.as_slice();
        let row = sqlx::query!(
            r#"SELECT "grant", redirect_uri, redirect_uri_sent AS "redirect_uri_sent: bool", challenge, expires_at,
                      used_at, failures
               FROM code
               WHERE hash = ?"#,
            key,
        )
        .fetch_optional(&mut *read)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let code = Code {
            hash: *hash,
            grant: id("code.grant", &row.grant)?,
            redirect_uri: row.redirect_uri,
            redirect_uri_sent: row.redirect_uri_sent,
            challenge: row.challenge,
            expires_at: time(row.expires_at),
            used_at: row.used_at.map(time),
            failures: count("code.failures", row.failures)?,
        };
        let grant = grant_on(&mut read, code.grant).await?;
        let grant = grant.ok_or_else(|| StorageError::damaged("code", "it has no grant"))?;
        Ok(Some((code, grant)))
    }
}
