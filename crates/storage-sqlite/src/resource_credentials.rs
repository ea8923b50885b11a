use std::time::Duration;

use async_trait::async_trait;
use model::{ResourceCredentialId, ServerId, TenantId};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, RESOURCE_CREDENTIALS, ResourceCredential, ResourceCredentials, TokenPolicy},
};

use crate::{
    Sqlite, failed,
    row::{count, hash, id, or_taken, time},
};

struct Row {
    id: Vec<u8>,
    tenant: Vec<u8>,
    server: Vec<u8>,
    name: String,
    secret_hash: Vec<u8>,
    created_at: i64,
}

impl Row {
    fn parse(self) -> Result<ResourceCredential> {
        Ok(ResourceCredential {
            id: id("resource_credential.id", &self.id)?,
            tenant: id("resource_credential.tenant", &self.tenant)?,
            server: id("resource_credential.server", &self.server)?,
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
impl ResourceCredentials for Sqlite {
    async fn create(&self, credential: &ResourceCredential, audit: &AuditEvent) -> Result<()> {
        let (key, tenant) = (credential.id.bytes().as_slice(), credential.tenant.bytes().as_slice());
        let (server, secret) = (credential.server.bytes().as_slice(), credential.secret_hash.as_slice());
        let created_at = credential.created_at.millis();
        let mut write = self.write().await?;
        let there = sqlx::query_scalar!(
            "SELECT count(*) FROM resource_credential WHERE tenant = ? AND server = ?",
            tenant,
            server,
        )
        .fetch_one(write.on())
        .await
        .map_err(failed)?;
        if there >= i64::from(RESOURCE_CREDENTIALS) {
            return Err(StorageError::Taken("every credential of the server"));
        }
        sqlx::query!(
            "INSERT INTO resource_credential (id, tenant, server, name, secret_hash, created_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            key,
            tenant,
            server,
            credential.name,
            secret,
            created_at,
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the credential's name"))?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn credential(&self, id: ResourceCredentialId) -> Result<Option<ResourceCredential>> {
        let id = id.bytes().as_slice();
        let row = sqlx::query_as!(
            Row,
            "SELECT id, tenant, server, name, secret_hash, created_at FROM resource_credential WHERE id = ?",
            id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(Row::parse).transpose()
    }

    async fn of_server(&self, tenant: TenantId, server: ServerId) -> Result<Vec<ResourceCredential>> {
        let (tenant, server) = (tenant.bytes().as_slice(), server.bytes().as_slice());
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, tenant, server, name, secret_hash, created_at
             FROM resource_credential
             WHERE tenant = ? AND server = ?
             ORDER BY name",
            tenant,
            server,
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
        let (tenant, server, id) = (tenant.bytes().as_slice(), server.bytes().as_slice(), id.bytes().as_slice());
        let mut write = self.write().await?;
        let removed = sqlx::query!(
            "DELETE FROM resource_credential WHERE tenant = ? AND server = ? AND id = ?",
            tenant,
            server,
            id,
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
        let tenant = tenant.bytes().as_slice();
        let row = sqlx::query!("SELECT access, refresh_grace FROM token_policy WHERE tenant = ?", tenant)
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
        let (key, access, grace) = (tenant.bytes().as_slice(), millis(policy.access), millis(policy.refresh_grace));
        let mut write = self.write().await?;
        sqlx::query!(
            "INSERT INTO token_policy (tenant, access, refresh_grace) VALUES (?, ?, ?)
             ON CONFLICT (tenant) DO UPDATE SET access = excluded.access, refresh_grace = excluded.refresh_grace",
            key,
            access,
            grace,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await
    }
}
