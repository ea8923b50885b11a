//! Authorization codes.

use model::{GrantId, Timestamp};
use storage::{
    Result,
    repo::{Code, Grant, TokenHash},
};
use uuid::Uuid;

use super::GrantRow;
use crate::{
    Postgres,
    database::Write,
    row::{count, failed, or_taken, time},
};

/// A code and its grant, read in one statement so that they belong together.
struct CodeRow {
    redirect_uri: String,
    redirect_uri_sent: bool,
    challenge: String,
    code_expires_at: i64,
    used_at: Option<i64>,
    failures: i64,
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

impl CodeRow {
    fn parse(self, hash: &TokenHash) -> Result<(Code, Grant)> {
        let code = Code {
            hash: *hash,
            grant: GrantId::from_uuid(self.id),
            redirect_uri: self.redirect_uri,
            redirect_uri_sent: self.redirect_uri_sent,
            challenge: self.challenge,
            expires_at: time(self.code_expires_at),
            used_at: self.used_at.map(time),
            failures: count("code.failures", self.failures)?,
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
        Ok((code, grant.parse()?))
    }
}

impl Write {
    pub(super) async fn insert_code(&mut self, code: &Code) -> Result<()> {
        sqlx::query!(
            r#"INSERT INTO code
                   (hash, "grant", redirect_uri, redirect_uri_sent, challenge, expires_at, used_at, failures)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"#,
            code.hash.as_slice(),
            code.grant.uuid(),
            code.redirect_uri,
            code.redirect_uri_sent,
            code.challenge,
            code.expires_at.millis(),
            code.used_at.map(Timestamp::millis),
            i64::from(code.failures),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the code"))?;
        Ok(())
    }

    /// Marks a code as used, if it can be, and says whose it was: the single-use gate.
    ///
    /// The grant is locked first, in a statement of its own: a revocation that is under way then comes
    /// either before, and is seen, or after, and sees the tokens' grant.
    pub(super) async fn use_code(&mut self, code: &TokenHash, now: Timestamp) -> Result<Option<GrantId>> {
        let grant = sqlx::query_scalar!(
            r#"SELECT id FROM "grant"
               WHERE id = (SELECT "grant" FROM code WHERE hash = $1) AND state <> 'revoked' AND expires_at > $2
               FOR NO KEY UPDATE"#,
            code.as_slice(),
            now.millis(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        let Some(grant) = grant else { return Ok(None) };
        let used = sqlx::query!(
            "UPDATE code SET used_at = $1
             WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 AND failures < 5",
            now.millis(),
            code.as_slice(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok((used.rows_affected() == 1).then(|| GrantId::from_uuid(grant)))
    }
}

impl Postgres {
    pub(super) async fn code_and_grant(&self, hash: &TokenHash) -> Result<Option<(Code, Grant)>> {
        let row = sqlx::query_as!(
            CodeRow,
            r#"SELECT code.redirect_uri, code.redirect_uri_sent, code.challenge, code.expires_at AS code_expires_at,
                      code.used_at, code.failures,
                      "grant".id, "grant"."user", "grant".method, "grant".tenant, "grant".server, "grant".client_id,
                      "grant".client_name, "grant".resource, "grant".scopes, "grant".state, "grant".revoked_at, "grant".version,
                      "grant".created_at, "grant".last_used_at, "grant".expires_at
               FROM code JOIN "grant" ON "grant".id = code."grant"
               WHERE code.hash = $1"#,
            hash.as_slice(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(|row| row.parse(hash)).transpose()
    }
}
