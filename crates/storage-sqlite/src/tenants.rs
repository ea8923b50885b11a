mod members;
mod removal;
mod view;

use async_trait::async_trait;
use model::{Role, TenantId, TenantSlug, UserId};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, GrantsOf, Member, MemberChange, Membership, Tenant, TenantView, Tenants},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{id, or_taken, time, word},
};

struct TenantRow {
    id: Vec<u8>,
    slug: String,
    name: String,
    state: String,
    created_at: i64,
}

impl TenantRow {
    fn parse(self) -> Result<Tenant> {
        Ok(Tenant {
            id: id("tenant.id", &self.id)?,
            slug: word("tenant_slug.slug", &self.slug)?,
            name: word("tenant.name", &self.name)?,
            state: word("tenant.state", &self.state)?,
            created_at: time(self.created_at),
        })
    }
}

impl Write {
    /// Gives a tenant its slug; what it had before stays an alias.
    async fn set_tenant_slug(&mut self, tenant: TenantId, slug: &TenantSlug) -> Result<()> {
        let (tenant, slug) = (tenant.bytes().as_slice(), slug.as_str());
        sqlx::query!(
            "UPDATE tenant_slug SET state = 'alias' WHERE tenant = ? AND state = 'current' AND slug <> ?",
            tenant,
            slug,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // An alias of the tenant's own may become current again; anybody else's and a tombstone may not.
        let given = sqlx::query!(
            "INSERT INTO tenant_slug (slug, tenant, state) VALUES (?, ?, 'current')
             ON CONFLICT (slug) DO UPDATE SET state = 'current' WHERE tenant_slug.tenant = excluded.tenant",
            slug,
            tenant,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if given.rows_affected() == 0 { Err(StorageError::Taken("the slug")) } else { Ok(()) }
    }
}

#[async_trait]
impl Tenants for Sqlite {
    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        let id = id.bytes().as_slice();
        let row = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE tenant.id = ?",
            id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(TenantRow::parse).transpose()
    }

    async fn by_slug(&self, slug: &TenantSlug) -> Result<Option<Tenant>> {
        let slug = slug.as_str();
        let row = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant_slug AS asked
             JOIN tenant ON tenant.id = asked.tenant
             JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE asked.slug = ?",
            slug,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(TenantRow::parse).transpose()
    }

    async fn is_tombstone(&self, slug: &TenantSlug) -> Result<bool> {
        let slug = slug.as_str();
        let state = sqlx::query_scalar!("SELECT state FROM tenant_slug WHERE slug = ?", slug)
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        Ok(state.as_deref() == Some("tombstone"))
    }

    async fn list(&self, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        // Any id is greater than no bytes.
        let after = after.map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE tenant.id > ?
             ORDER BY tenant.id
             LIMIT ?",
            after,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(TenantRow::parse).collect()
    }

    async fn create(&self, tenant: &Tenant, members: &[Member], audit: &AuditEvent) -> Result<()> {
        let (id, name) = (tenant.id.bytes().as_slice(), tenant.name.as_str());
        let (state, created_at) = (tenant.state.as_str(), tenant.created_at.millis());
        let mut write = self.write().await?;
        sqlx::query!(
            "INSERT INTO tenant (id, name, state, created_at) VALUES (?, ?, ?, ?)",
            id,
            name,
            state,
            created_at,
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the tenant"))?;
        write.set_tenant_slug(tenant.id, &tenant.slug).await?;
        for member in members {
            write.set_member(&Member { tenant: tenant.id, ..*member }).await?;
        }
        write.change_tenant(tenant.id).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn update(&self, tenant: &Tenant, audit: &AuditEvent) -> Result<()> {
        let (id, name, state) = (tenant.id.bytes().as_slice(), tenant.name.as_str(), tenant.state.as_str());
        let mut write = self.write().await?;
        // One without slugs is being removed.
        let updated = sqlx::query!(
            "UPDATE tenant SET name = ?, state = ?
             WHERE id = ? AND EXISTS (SELECT 1 FROM tenant_slug WHERE tenant_slug.tenant = tenant.id)",
            name,
            state,
            id,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Err(StorageError::Missing("the tenant"));
        }
        write.set_tenant_slug(tenant.id, &tenant.slug).await?;
        write.change_tenant(tenant.id).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn delete(&self, tenant: TenantId, audit: &AuditEvent) -> Result<bool> {
        let begun = self.begin_removal(tenant, audit).await?;
        // Also when it was begun before: an earlier call may have failed anywhere.
        self.finish_removal(tenant, audit.at).await?;
        Ok(begun)
    }

    async fn members(&self, tenant: TenantId, after: Option<UserId>, limit: u32) -> Result<Vec<Member>> {
        self.members_of(tenant, after, limit).await
    }

    async fn role(&self, tenant: TenantId, user: UserId) -> Result<Option<Role>> {
        self.role_of(tenant, user).await
    }

    async fn memberships(&self, user: UserId, after: Option<&TenantSlug>, limit: u32) -> Result<Vec<Membership>> {
        self.memberships_of(user, after, limit).await
    }

    async fn change_role(&self, member: &Member, audit: &AuditEvent) -> Result<MemberChange> {
        let mut write = self.write().await?;
        if !write.is_member(member.tenant, member.user).await? {
            return Ok(MemberChange::Absent);
        }
        if member.role != Role::Owner && write.is_last_owner(member.tenant, member.user).await? {
            return Ok(MemberChange::LastOwner);
        }
        write.set_member(member).await?;
        write.change_tenant(member.tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(MemberChange::Done)
    }

    async fn expel(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<MemberChange> {
        let mut write = self.write().await?;
        if write.is_last_owner(tenant, user).await? {
            return Ok(MemberChange::LastOwner);
        }
        if !write.delete_member(tenant, user).await? {
            return Ok(MemberChange::Absent);
        }
        write.end_grants(&GrantsOf::Member(tenant, user), audit.at).await?;
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(MemberChange::Done)
    }

    async fn put_member(&self, member: &Member, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.set_member(member).await?;
        write.change_tenant(member.tenant).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn remove_member(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Member(tenant, user), audit.at).await?;
        let mut write = self.write().await?;
        if !write.delete_member(tenant, user).await? {
            return Ok(false);
        }
        write.end_grants(&GrantsOf::Member(tenant, user), audit.at).await?;
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn view(&self, tenant: TenantId) -> Result<Option<TenantView>> {
        self.view_of(tenant).await
    }
}
