use model::{TenantId, TenantSlug};
use storage::repo::{Actor, Tenant};

use crate::{Registry, Result};

impl Registry {
    /// The tenant of a slug or an alias, for whoever runs the installation at its shell and is to destroy
    /// it. No page leads here: an operator sees no tenant.
    pub async fn tenant_to_shred(&self, slug: &TenantSlug) -> Result<Option<Tenant>> {
        Ok(self.repos.tenants.by_slug(slug).await?)
    }

    /// Whether there was a tenant of this slug that was deleted.
    pub async fn is_tombstone(&self, slug: &TenantSlug) -> Result<bool> {
        Ok(self.repos.tenants.is_tombstone(slug).await?)
    }

    /// A tenant by its id, for who destroys it.
    pub async fn tenant_to_shred_by_id(&self, id: TenantId) -> Result<Option<Tenant>> {
        Ok(self.repos.tenants.tenant(id).await?)
    }

    /// Deletes a tenant with all that it owns and destroys its keys: what was sealed for it cannot be opened
    /// again, in any copy. Its slugs stay tombstones. `false` if the tenant was gone; its keys are destroyed
    /// even then, because an earlier call may have failed half-way.
    pub async fn shred_tenant(&self, id: TenantId) -> Result<bool> {
        let event = self.audit(Actor::System, "tenant.shredded", id);
        Ok(self.repos.tenants.delete(id, &event).await?)
    }
}
