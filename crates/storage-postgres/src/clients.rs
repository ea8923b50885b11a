mod in_tenant;
mod write;

use async_trait::async_trait;
use model::{ClientRowId, TenantId, Timestamp};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, Client, ClientKeys, ClientPolicies, ClientUse, Clients, GrantsOf, RegistrationCap, TokenHash},
};

use uuid::Uuid;

use crate::{
    Postgres,
    locks::Turn,
    row::{count, failed, from_json, hash, time, word},
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
    jwks: Option<String>,
    jwks_uri: Option<String>,
    metadata: String,
    registration_hash: Option<Vec<u8>>,
    blocked_at: Option<i64>,
}

impl ClientRow {
    fn parse(self) -> Result<Client> {
        let keys = match (self.jwks, self.jwks_uri) {
            (Some(jwks), _) => ClientKeys::Inline(from_json("client.jwks", &jwks)?),
            (None, Some(uri)) => ClientKeys::At(uri),
            (None, None) => ClientKeys::None,
        };
        let hash_of = |column, bytes: Option<Vec<u8>>| bytes.map(|bytes| hash(column, &bytes)).transpose();
        Ok(Client {
            id: ClientRowId::from_uuid(self.id),
            client_id: self.client_id,
            origin: word("client.origin", &self.origin)?,
            tenant: self.tenant.map(TenantId::from_uuid),
            name: self.name,
            uri: self.uri,
            redirect_uris: from_json("client.redirect_uris", &self.redirect_uris)?,
            auth_method: word("client.auth_method", &self.auth_method)?,
            secret_hash: hash_of("client.secret_hash", self.secret_hash)?,
            scopes: word("client.scopes", &self.scopes)?,
            may_refresh: self.may_refresh,
            application_type: word("client.application_type", &self.application_type)?,
            keys,
            metadata: from_json("client.metadata", &self.metadata)?,
            registration_hash: hash_of("client.registration_hash", self.registration_hash)?,
            blocked_at: self.blocked_at.map(time),
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
                    may_refresh, application_type, created_at, last_used_at, expires_at, jwks, jwks_uri, metadata,
                    registration_hash, blocked_at
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
        write.insert_client(client).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn register(&self, client: &Client, cap: RegistrationCap, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        write.turn(Turn::Registration).await?;
        if !write.make_room(cap, client.created_at).await? {
            return Ok(false);
        }
        write.insert_client(client).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn replace(&self, client: &Client, expected: Option<&TokenHash>, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.replace_client(client, expected).await? {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn delete(&self, client_id: &str, audit: &AuditEvent) -> Result<bool> {
        let grants = GrantsOf::Client(None, client_id.to_owned());
        self.end_grants_ahead(&grants, audit.at).await?;
        let mut write = self.write().await?;
        let deleted = sqlx::query!("DELETE FROM client WHERE client_id = $1", client_id)
            .execute(write.on())
            .await
            .map_err(failed)?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        write.end_grants(&grants, audit.at).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn set_blocked(&self, client_id: &str, since: Option<Timestamp>, audit: &AuditEvent) -> Result<bool> {
        let grants = GrantsOf::Client(None, client_id.to_owned());
        if since.is_some() {
            self.end_grants_ahead(&grants, audit.at).await?;
        }
        let mut write = self.write().await?;
        let found = sqlx::query!(
            "UPDATE client SET blocked_at = $1 WHERE client_id = $2",
            since.map(Timestamp::millis),
            client_id,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        if since.is_some() {
            write.end_grants(&grants, audit.at).await?;
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
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

    async fn of_tenant(&self, tenant: TenantId, after: Option<&str>, limit: u32) -> Result<Vec<Client>> {
        let rows = sqlx::query_as!(
            ClientRow,
            "SELECT id, client_id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                    may_refresh, application_type, created_at, last_used_at, expires_at, jwks, jwks_uri, metadata,
                    registration_hash, blocked_at
             FROM client
             WHERE tenant = $1 AND client_id > $2
             ORDER BY client_id
             LIMIT $3",
            tenant.uuid(),
            after.unwrap_or_default(),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(ClientRow::parse).collect()
    }

    async fn used_in(
        &self,
        tenant: TenantId,
        now: Timestamp,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ClientUse>> {
        self.clients_used_in(tenant, now, after, limit).await
    }

    async fn block_in(&self, tenant: TenantId, client_id: &str, audit: &AuditEvent) -> Result<bool> {
        self.block_client_in(tenant, client_id, audit).await
    }

    async fn unblock_in(&self, tenant: TenantId, client_id: &str, audit: &AuditEvent) -> Result<bool> {
        self.unblock_client_in(tenant, client_id, audit).await
    }

    async fn is_blocked_in(&self, tenant: TenantId, client_id: &str) -> Result<bool> {
        self.is_client_blocked_in(tenant, client_id).await
    }

    async fn policies(&self, tenant: TenantId) -> Result<ClientPolicies> {
        self.client_policies(tenant).await
    }

    async fn set_policies(&self, tenant: TenantId, policies: &ClientPolicies, audit: &AuditEvent) -> Result<()> {
        self.set_client_policies(tenant, policies, audit).await
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
