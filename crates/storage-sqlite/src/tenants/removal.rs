//! Removing a tenant, which may have more rows than others who write can wait for.
//!
//! The first transaction decides: from then on the tenant has no slug, and so is nowhere to be found, and the
//! note in `shredding` says that it has to go. Then its keys are destroyed, its rows go in transactions of
//! [`AT_ONCE`], and the last one deletes the tenant with what is left. Whatever fails in between, clean-up or the same
//! call again goes on with it.

use model::{TenantId, Timestamp};
use storage::{
    AT_ONCE, Owner, Result,
    repo::{AuditEvent, GrantsOf},
};

use crate::{Sqlite, database::Write, failed};

impl Sqlite {
    /// Takes a tenant out of service for good. `false` if it is not there, or somebody did so already.
    pub(super) async fn begin_removal(&self, tenant: TenantId, audit: &AuditEvent) -> Result<bool> {
        let id = tenant.bytes().as_slice();
        let mut write = self.write().await?;
        let freed = sqlx::query!("UPDATE tenant_slug SET state = 'tombstone', tenant = NULL WHERE tenant = ?", id)
            .execute(write.on())
            .await
            .map_err(failed)?;
        if freed.rows_affected() == 0 {
            return Ok(false);
        }
        write.will_shred(Owner::Tenant(tenant)).await?;
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Deletes a tenant whose removal was begun, and destroys its keys. Doing it again does no harm.
    pub(crate) async fn finish_removal(&self, tenant: TenantId, now: Timestamp) -> Result<()> {
        let owner = Owner::Tenant(tenant);
        // Now, so that nothing keeps them however long the rest takes; and once more when nobody can make new ones.
        self.0.sealer.shred(owner).await?;
        self.end_grants_ahead(&GrantsOf::Tenant(tenant), now).await?;
        self.delete_values_ahead(owner).await?;
        loop {
            let mut write = self.write().await?;
            let more = write.delete_some(tenant).await?;
            write.commit().await?;
            if !more {
                break;
            }
        }
        let mut write = self.write().await?;
        write.delete_tenant(tenant, now).await?;
        write.commit().await?;
        self.shred(owner).await
    }
}

impl Write {
    /// Deletes some of a tenant's rows, [`AT_ONCE`] of each table; whether there may be more.
    async fn delete_some(&mut self, tenant: TenantId) -> Result<bool> {
        let tenant = tenant.bytes().as_slice();
        let deleted = [
            sqlx::query!(
                "DELETE FROM usage
                 WHERE (tenant, server, hour) IN (SELECT tenant, server, hour FROM usage WHERE tenant = ? LIMIT ?)",
                tenant,
                AT_ONCE,
            )
            .execute(self.on())
            .await
            .map_err(failed)?,
            sqlx::query!(
                "DELETE FROM identity
                 WHERE (connection, subject) IN (SELECT identity.connection, identity.subject
                                                 FROM connection JOIN identity ON identity.connection = connection.id
                                                 WHERE connection.tenant = ?
                                                 LIMIT ?)",
                tenant,
                AT_ONCE,
            )
            .execute(self.on())
            .await
            .map_err(failed)?,
            sqlx::query!(
                "DELETE FROM client WHERE rowid IN (SELECT rowid FROM client WHERE tenant = ? LIMIT ?)",
                tenant,
                AT_ONCE,
            )
            .execute(self.on())
            .await
            .map_err(failed)?,
            sqlx::query!(
                r#"DELETE FROM member
                   WHERE (tenant, "user") IN (SELECT tenant, "user" FROM member WHERE tenant = ? LIMIT ?)"#,
                tenant,
                AT_ONCE,
            )
            .execute(self.on())
            .await
            .map_err(failed)?,
        ];
        Ok(deleted.iter().any(|deleted| deleted.rows_affected() == u64::from(AT_ONCE)))
    }

    /// Deletes a tenant with all that refers to it.
    async fn delete_tenant(&mut self, tenant: TenantId, now: Timestamp) -> Result<()> {
        let id = tenant.bytes().as_slice();
        self.end_grants(&GrantsOf::Tenant(tenant), now).await?;
        self.delete_values(Owner::Tenant(tenant)).await?;
        sqlx::query!(
            "INSERT INTO change (kind, tenant, subject)
             SELECT 'connection', tenant, id FROM connection WHERE tenant = ?",
            id,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        sqlx::query!("DELETE FROM tenant WHERE id = ?", id).execute(self.on()).await.map_err(failed)?;
        Ok(())
    }
}
