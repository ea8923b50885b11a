mod members;
mod removal;
mod view;

use async_trait::async_trait;
use model::{Role, TenantId, TenantSlug, UserId};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, GrantsOf, Member, MemberChange, Membership, Tenant, TenantView, Tenants},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    locks::Turn,
    row::{failed, or_taken, time, word},
};

struct TenantRow {
    id: Uuid,
    slug: String,
    name: String,
    state: String,
    created_at: i64,
}

impl TenantRow {
    fn parse(self) -> Result<Tenant> {
        Ok(Tenant {
            id: TenantId::from_uuid(self.id),
            slug: word("tenant_slug.slug", &self.slug)?,
            name: word("tenant.name", &self.name)?,
            state: word("tenant.state", &self.state)?,
            created_at: time(self.created_at),
        })
    }
}

impl Write {
    /// Gives a tenant its slug; what it had before stays an alias. Needs [`Turn::TenantSlug`].
    async fn set_tenant_slug(&mut self, tenant: TenantId, slug: &TenantSlug) -> Result<()> {
        sqlx::query!(
            "UPDATE tenant_slug SET state = 'alias' WHERE tenant = $1 AND state = 'current' AND slug <> $2",
            tenant.uuid(),
            slug.as_str(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // An alias of the tenant's own may become current again; anybody else's and a tombstone may not.
        let given = sqlx::query!(
            "INSERT INTO tenant_slug (slug, tenant, state) VALUES ($1, $2, 'current')
             ON CONFLICT (slug) DO UPDATE SET state = 'current' WHERE tenant_slug.tenant = excluded.tenant",
            slug.as_str(),
            tenant.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if given.rows_affected() == 0 { Err(StorageError::Taken("the slug")) } else { Ok(()) }
    }
}

#[async_trait]
impl Tenants for Postgres {
    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        let row = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE tenant.id = $1",
            id.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(TenantRow::parse).transpose()
    }

    async fn by_slug(&self, slug: &TenantSlug) -> Result<Option<Tenant>> {
        let row = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant_slug AS asked
             JOIN tenant ON tenant.id = asked.tenant
             JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE asked.slug = $1",
            slug.as_str(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(TenantRow::parse).transpose()
    }

    async fn is_tombstone(&self, slug: &TenantSlug) -> Result<bool> {
        let state = sqlx::query_scalar!("SELECT state FROM tenant_slug WHERE slug = $1", slug.as_str())
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        Ok(state.as_deref() == Some("tombstone"))
    }

    async fn list(&self, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        let rows = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE tenant.id > $1
             ORDER BY tenant.id
             LIMIT $2",
            // No id is nil.
            after.map_or(Uuid::nil(), TenantId::uuid),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(TenantRow::parse).collect()
    }

    async fn create(&self, tenant: &Tenant, members: &[Member], audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.turn(Turn::TenantSlug).await?;
        sqlx::query!(
            "INSERT INTO tenant (id, name, state, created_at) VALUES ($1, $2, $3, $4)",
            tenant.id.uuid(),
            tenant.name.as_str(),
            tenant.state.as_str(),
            tenant.created_at.millis(),
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the tenant"))?;
        let mut people: Vec<_> = members.iter().collect();
        people.sort_by_key(|member| member.user);
        for member in people {
            write.set_member(&Member { tenant: tenant.id, ..*member }).await?;
        }
        write.set_tenant_slug(tenant.id, &tenant.slug).await?;
        write.change_tenant(tenant.id);
        write.audit(audit).await?;
        write.commit().await
    }

    async fn update(&self, tenant: &Tenant, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.turn(Turn::TenantSlug).await?;
        // One without slugs is being removed.
        let updated = sqlx::query!(
            "UPDATE tenant SET name = $1, state = $2
             WHERE id = $3 AND EXISTS (SELECT 1 FROM tenant_slug WHERE tenant_slug.tenant = tenant.id)",
            tenant.name.as_str(),
            tenant.state.as_str(),
            tenant.id.uuid(),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Err(StorageError::Missing("the tenant"));
        }
        write.set_tenant_slug(tenant.id, &tenant.slug).await?;
        write.change_tenant(tenant.id);
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
        write.turn(Turn::Remove).await?;
        write.hold_tenant(member.tenant).await?;
        if !write.is_member(member.tenant, member.user).await? {
            return Ok(MemberChange::Absent);
        }
        if member.role != Role::Owner && write.is_last_owner(member.tenant, member.user).await? {
            return Ok(MemberChange::LastOwner);
        }
        write.set_member(member).await?;
        write.change_tenant(member.tenant);
        write.audit(audit).await?;
        write.commit().await?;
        Ok(MemberChange::Done)
    }

    async fn expel(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<MemberChange> {
        let mut write = self.write().await?;
        write.turn(Turn::Remove).await?;
        if write.is_last_owner(tenant, user).await? {
            return Ok(MemberChange::LastOwner);
        }
        if !write.delete_member(tenant, user).await? {
            return Ok(MemberChange::Absent);
        }
        write.end_grants(&GrantsOf::Member(tenant, user), audit.at).await?;
        write.change_tenant(tenant);
        write.audit(audit).await?;
        write.commit().await?;
        Ok(MemberChange::Done)
    }

    async fn put_member(&self, member: &Member, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_tenant(member.tenant).await?;
        write.set_member(member).await?;
        write.change_tenant(member.tenant);
        write.audit(audit).await?;
        write.commit().await
    }

    async fn remove_member(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Member(tenant, user), audit.at).await?;
        let mut write = self.write().await?;
        write.turn(Turn::Remove).await?;
        // The member first: whoever authorizes for them at this moment holds that row.
        if !write.delete_member(tenant, user).await? {
            return Ok(false);
        }
        write.end_grants(&GrantsOf::Member(tenant, user), audit.at).await?;
        write.change_tenant(tenant);
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn view(&self, tenant: TenantId) -> Result<Option<TenantView>> {
        self.view_of(tenant).await
    }
}
