//! Removing a tenant, which may have more rows than one transaction can delete in its time.
//!
//! The first transaction decides: from then on the tenant has no slug, and so is nowhere to be found, and the
//! note in `shredding` says that it has to go. Then its keys are destroyed, its rows go in transactions of
//! [`AT_ONCE`], and the last one deletes the tenant with what is left. Whatever fails in between, clean-up or the same
//! call again goes on with it.

use model::{ConnectionId, TenantId, Timestamp};
use storage::{
    AT_ONCE, ChangeKind, Owner, Result,
    repo::{AuditEvent, GrantsOf},
};

use crate::{Postgres, database::Write, locks::Turn, row::failed};

impl Postgres {
    /// Takes a tenant out of service for good. `false` if it is not there, or somebody did so already.
    pub(super) async fn begin_removal(&self, tenant: TenantId, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        write.turn(Turn::TenantSlug).await?;
        let freed =
            sqlx::query!("UPDATE tenant_slug SET state = 'tombstone', tenant = NULL WHERE tenant = $1", tenant.uuid())
                .execute(write.on())
                .await
                .map_err(failed)?;
        if freed.rows_affected() == 0 {
            return Ok(false);
        }
        write.will_shred(Owner::Tenant(tenant)).await?;
        write.change_tenant(tenant);
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Deletes a tenant whose removal was begun, and destroys its keys. Doing it again does no harm.
    pub(crate) async fn finish_removal(&self, tenant: TenantId, now: Timestamp) -> Result<()> {
        let owner = Owner::Tenant(tenant);
        // Now, so that nothing keeps them however long the rest takes; and once more when nobody can make new ones.
        self.sealer().shred(owner).await?;
        self.end_grants_ahead(&GrantsOf::Tenant(tenant), now).await?;
        self.delete_values_ahead(owner).await?;
        while self.delete_some(tenant).await? {}
        let mut write = self.write().await?;
        write.delete_tenant(tenant, now).await?;
        write.settle().await?;
        write.commit().await?;
        self.shred(owner).await
    }

    /// Deletes some of a tenant's rows, [`AT_ONCE`] of each table; whether there may be more. What somebody else is
    /// at is left to the last transaction, which waits for it.
    async fn delete_some(&self, tenant: TenantId) -> Result<bool> {
        let (tenant, limit) = (tenant.uuid(), i64::from(AT_ONCE));
        let deleted = [
            sqlx::query!(
                "DELETE FROM usage
                 WHERE ctid IN (SELECT ctid FROM usage WHERE tenant = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                tenant,
                limit,
            )
            .execute(self.read())
            .await
            .map_err(failed)?,
            sqlx::query!(
                "DELETE FROM identity
                 WHERE ctid IN (SELECT identity.ctid
                                FROM connection JOIN identity ON identity.connection = connection.id
                                WHERE connection.tenant = $1
                                LIMIT $2
                                FOR UPDATE OF identity SKIP LOCKED)",
                tenant,
                limit,
            )
            .execute(self.read())
            .await
            .map_err(failed)?,
            sqlx::query!(
                "DELETE FROM client
                 WHERE ctid IN (SELECT ctid FROM client WHERE tenant = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                tenant,
                limit,
            )
            .execute(self.read())
            .await
            .map_err(failed)?,
            sqlx::query!(
                "DELETE FROM member
                 WHERE ctid IN (SELECT ctid FROM member WHERE tenant = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                tenant,
                limit,
            )
            .execute(self.read())
            .await
            .map_err(failed)?,
        ];
        Ok(deleted.iter().any(|deleted| deleted.rows_affected() == u64::from(AT_ONCE)))
    }
}

impl Write {
    /// Deletes a tenant with all that refers to it.
    async fn delete_tenant(&mut self, tenant: TenantId, now: Timestamp) -> Result<()> {
        self.turn(Turn::Remove).await?;
        // Whoever is about to add something to the tenant has done so by then, or finds no tenant.
        let found = sqlx::query_scalar!("SELECT id FROM tenant WHERE id = $1 FOR UPDATE", tenant.uuid())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        if found.is_none() {
            return Ok(());
        }
        self.end_grants(&GrantsOf::Tenant(tenant), now).await?;
        self.delete_values(Owner::Tenant(tenant)).await?;
        // Before the connections: memberships that rest on their word hold on to the rules about it.
        sqlx::query!("DELETE FROM member WHERE tenant = $1", tenant.uuid()).execute(self.on()).await.map_err(failed)?;
        let connections = sqlx::query_scalar!("DELETE FROM connection WHERE tenant = $1 RETURNING id", tenant.uuid())
            .fetch_all(self.on())
            .await
            .map_err(failed)?;
        sqlx::query!("DELETE FROM tenant WHERE id = $1", tenant.uuid()).execute(self.on()).await.map_err(failed)?;
        for connection in connections {
            let connection = ConnectionId::from_uuid(connection);
            self.change(ChangeKind::Connection, Some(tenant), connection.bytes());
        }
        Ok(())
    }
}
