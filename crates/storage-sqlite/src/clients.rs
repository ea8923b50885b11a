use async_trait::async_trait;
use model::Timestamp;
use storage::{
    Result, StorageError,
    repo::{AuditEvent, Client, Clients},
};

use crate::{
    Sqlite, failed,
    row::{count, from_json, hash, id, or_taken, time, to_json, word},
};

struct ClientRow {
    id: Vec<u8>,
    client_id: String,
    origin: String,
    tenant: Option<Vec<u8>>,
    name: Option<String>,
    uri: Option<String>,
    redirect_uris: String,
    auth_method: String,
    secret_hash: Option<Vec<u8>>,
    scopes: String,
    may_refresh: bool,
    application_type: String,
    created_at: i64,
    last_used_at: Option<i64>,
    expires_at: Option<i64>,
}

impl ClientRow {
    fn parse(self) -> Result<Client> {
        Ok(Client {
            id: id("client.id", &self.id)?,
            client_id: self.client_id,
            origin: word("client.origin", &self.origin)?,
            tenant: self.tenant.map(|tenant| id("client.tenant", &tenant)).transpose()?,
            name: self.name,
            uri: self.uri,
            redirect_uris: from_json("client.redirect_uris", &self.redirect_uris)?,
            auth_method: word("client.auth_method", &self.auth_method)?,
            secret_hash: self.secret_hash.map(|secret| hash("client.secret_hash", &secret)).transpose()?,
            scopes: word("client.scopes", &self.scopes)?,
            may_refresh: self.may_refresh,
            application_type: word("client.application_type", &self.application_type)?,
            created_at: time(self.created_at),
            last_used_at: self.last_used_at.map(time),
            expires_at: self.expires_at.map(time),
        })
    }
}

#[async_trait]
impl Clients for Sqlite {
    async fn client(&self, client_id: &str, now: Timestamp) -> Result<Option<Client>> {
        let now = now.millis();
        let row = sqlx::query_as!(
            ClientRow,
            r#"SELECT id, client_id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                      may_refresh AS "may_refresh: bool", application_type, created_at, last_used_at, expires_at
               FROM client
               WHERE client_id = ? AND (expires_at IS NULL OR expires_at > ?)"#,
            client_id,
            now,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(ClientRow::parse).transpose()
    }

    async fn create(&self, client: &Client, audit: &AuditEvent) -> Result<()> {
        let (id, tenant) = (client.id.bytes().as_slice(), client.tenant.map(|id| id.bytes().to_vec()));
        let (origin, auth_method) = (client.origin.as_str(), client.auth_method.as_str());
        let (redirect_uris, scopes) = (to_json(&client.redirect_uris)?, client.scopes.to_string());
        let (secret_hash, application_type) = (client.secret_hash.map(Vec::from), client.application_type.as_str());
        let (created_at, last_used_at) = (client.created_at.millis(), client.last_used_at.map(Timestamp::millis));
        let expires_at = client.expires_at.map(Timestamp::millis);
        let mut write = self.write().await?;
        sqlx::query!(
            "INSERT INTO client
                 (client_id, id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                  may_refresh, application_type, created_at, last_used_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            client.client_id,
            id,
            origin,
            tenant,
            client.name,
            client.uri,
            redirect_uris,
            auth_method,
            secret_hash,
            scopes,
            client.may_refresh,
            application_type,
            created_at,
            last_used_at,
            expires_at,
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the client id"))?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn touch(&self, client_id: &str, now: Timestamp, expires_at: Option<Timestamp>) -> Result<()> {
        let (now, expires_at) = (now.millis(), expires_at.map(Timestamp::millis));
        let mut write = self.write().await?;
        // One that has expired since does not come back.
        let touched = sqlx::query!(
            "UPDATE client SET last_used_at = ?1, expires_at = ?2
             WHERE client_id = ?3 AND (expires_at IS NULL OR expires_at > ?1)",
            now,
            expires_at,
            client_id,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if touched.rows_affected() == 0 {
            return Err(StorageError::Missing("the client"));
        }
        write.commit().await
    }

    async fn count_dynamic(&self, now: Timestamp) -> Result<u64> {
        let now = now.millis();
        let found = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!: i64" FROM client
               WHERE origin = 'dynamic' AND (expires_at IS NULL OR expires_at > ?)"#,
            now,
        )
        .fetch_one(self.read())
        .await
        .map_err(failed)?;
        count("client", found)
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let now = now.millis();
        let mut write = self.write().await?;
        let purged = sqlx::query!(
            "DELETE FROM client
             WHERE client_id IN (SELECT client_id FROM client WHERE expires_at <= ? LIMIT ?)",
            now,
            limit,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(purged.rows_affected())
    }
}
