use async_trait::async_trait;
use model::{ClientRowId, TenantId, Timestamp};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, Client, Clients},
};
use uuid::Uuid;

use crate::{
    Postgres,
    row::{count, failed, from_json, hash, or_taken, time, to_json, word},
};

struct ClientRow {
    id: Uuid,
    client_id: String,
    origin: String,
    tenant: Option<Uuid>,
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
            id: ClientRowId::from_uuid(self.id),
            client_id: self.client_id,
            origin: word("client.origin", &self.origin)?,
            tenant: self.tenant.map(TenantId::from_uuid),
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
impl Clients for Postgres {
    async fn client(&self, client_id: &str, now: Timestamp) -> Result<Option<Client>> {
        let row = sqlx::query_as!(
            ClientRow,
            "SELECT id, client_id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                    may_refresh, application_type, created_at, last_used_at, expires_at
             FROM client
             WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2)",
            client_id,
            now.millis(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(ClientRow::parse).transpose()
    }

    async fn create(&self, client: &Client, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        if let Some(tenant) = client.tenant {
            write.hold_tenant(tenant).await?;
        }
        sqlx::query!(
            "INSERT INTO client
                 (client_id, id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                  may_refresh, application_type, created_at, last_used_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            client.client_id,
            client.id.uuid(),
            client.origin.as_str(),
            client.tenant.map(TenantId::uuid),
            client.name.as_deref(),
            client.uri.as_deref(),
            to_json(&client.redirect_uris)?,
            client.auth_method.as_str(),
            client.secret_hash.as_ref().map(<[u8; 32]>::as_slice),
            client.scopes.to_string(),
            client.may_refresh,
            client.application_type.as_str(),
            client.created_at.millis(),
            client.last_used_at.map(Timestamp::millis),
            client.expires_at.map(Timestamp::millis),
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the client id"))?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn touch(&self, client_id: &str, now: Timestamp, expires_at: Option<Timestamp>) -> Result<()> {
        let mut write = self.write().await?;
        // One that has expired since does not come back.
        let touched = sqlx::query!(
            "UPDATE client SET last_used_at = $1, expires_at = $2
             WHERE client_id = $3 AND (expires_at IS NULL OR expires_at > $1)",
            now.millis(),
            expires_at.map(Timestamp::millis),
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
        let found = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM client
               WHERE origin = 'dynamic' AND (expires_at IS NULL OR expires_at > $1)"#,
            now.millis(),
        )
        .fetch_one(self.read())
        .await
        .map_err(failed)?;
        count("client", found)
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut write = self.write().await?;
        // Whatever somebody else is at is left to the next time: clean-up waits for nobody.
        let purged = sqlx::query!(
            "DELETE FROM client
             WHERE client_id IN (SELECT client_id FROM client WHERE expires_at <= $1 LIMIT $2
                                 FOR UPDATE SKIP LOCKED)",
            now.millis(),
            i64::from(limit),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(purged.rows_affected())
    }
}
