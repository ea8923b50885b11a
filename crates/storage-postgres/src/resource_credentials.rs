use std::time::Duration;

use async_trait::async_trait;
use model::{ResourceCredentialId, ServerId, TenantId};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, RESOURCE_CREDENTIALS, ResourceCredential, ResourceCredentials, TokenPolicy},
};
use uuid::Uuid;

use crate::{
    Postgres,
    row::{count, failed, hash, or_taken, time},
};

struct Row {
    id: Uuid,
    tenant: Uuid,
    server: Uuid,
    name: String,
    secret_hash: Vec<u8>,
    created_at: i64,
}

impl Row {
    fn parse(self) -> Result<ResourceCredential> {
        Ok(ResourceCredential {
            id: ResourceCredentialId::from_uuid(self.id),
            tenant: TenantId::from_uuid(self.tenant),
            server: ServerId::from_uuid(self.server),
            name: self.name,
            secret_hash: hash("resource_credential.secret_hash", &self.secret_hash)?,
            created_at: time(self.created_at),
        })
    }
}

/// A time in a column of milliseconds.
pub(crate) fn lasting(column: &'static str, millis: Option<i64>) -> Result<Option<Duration>> {
    millis.map(|millis| count(column, millis).map(Duration::from_millis)).transpose()
}

fn millis(time: Option<Duration>) -> Option<i64> {
    time.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl ResourceCredentials for Postgres {
    async fn create(&self, credential: &ResourceCredential, audit: &AuditEvent) -> Result<()> {
        let (tenant, server) = (credential.tenant, credential.server);
        let mut write = self.write().await?;
        // One at a time, so that the count holds.
        write.hold_servers_of(tenant).await?;
        let there = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM resource_credential WHERE tenant = $1 AND server = $2"#,
            tenant.uuid(),
            server.uuid(),
        )
        .fetch_one(write.on())
        .await
        .map_err(failed)?;
        if there >= i64::from(RESOURCE_CREDENTIALS) {
            return Err(StorageError::Taken("every credential of the server"));
        }
        sqlx::query!(
            "INSERT INTO resource_credential (id, tenant, server, name, secret_hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            credential.id.uuid(),
            tenant.uuid(),
            server.uuid(),
            credential.name,
            credential.secret_hash.as_slice(),
            credential.created_at.millis(),
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the credential's name"))?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn credential(&self, id: ResourceCredentialId) -> Result<Option<ResourceCredential>> {
        let row = sqlx::query_as!(
            Row,
            "SELECT id, tenant, server, name, secret_hash, created_at FROM resource_credential WHERE id = $1",
            id.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(Row::parse).transpose()
    }

    async fn of_server(&self, tenant: TenantId, server: ServerId) -> Result<Vec<ResourceCredential>> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, tenant, server, name, secret_hash, created_at
             FROM resource_credential
             WHERE tenant = $1 AND server = $2
             ORDER BY name",
            tenant.uuid(),
            server.uuid(),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(Row::parse).collect()
    }

    async fn remove(
        &self,
        tenant: TenantId,
        server: ServerId,
        id: ResourceCredentialId,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let mut write = self.write().await?;
        let removed = sqlx::query!(
            "DELETE FROM resource_credential WHERE tenant = $1 AND server = $2 AND id = $3",
            tenant.uuid(),
            server.uuid(),
            id.uuid(),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn policy(&self, tenant: TenantId) -> Result<TokenPolicy> {
        let row = sqlx::query!("SELECT access, refresh_grace FROM token_policy WHERE tenant = $1", tenant.uuid())
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(TokenPolicy::default()) };
        Ok(TokenPolicy {
            access: lasting("token_policy.access", row.access)?,
            refresh_grace: lasting("token_policy.refresh_grace", row.refresh_grace)?,
        })
    }

    async fn set_policy(&self, tenant: TenantId, policy: &TokenPolicy, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_tenant(tenant).await?;
        sqlx::query!(
            "INSERT INTO token_policy (tenant, access, refresh_grace) VALUES ($1, $2, $3)
             ON CONFLICT (tenant) DO UPDATE SET access = excluded.access, refresh_grace = excluded.refresh_grace",
            tenant.uuid(),
            millis(policy.access),
            millis(policy.refresh_grace),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.change_tenant(tenant);
        write.audit(audit).await?;
        write.commit().await
    }
}
