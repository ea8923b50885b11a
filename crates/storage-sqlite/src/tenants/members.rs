//! Members of tenants.

use model::{Role, TenantId, TenantSlug, UserId};
use storage::{
    Result,
    repo::{Member, Membership},
};

use super::TenantRow;
use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{id, word},
};

impl Write {
    pub(crate) async fn set_member(&mut self, member: &Member) -> Result<()> {
        let (tenant, user) = (member.tenant.bytes().as_slice(), member.user.bytes().as_slice());
        let role = member.role.as_str();
        sqlx::query!(
            r#"INSERT INTO member (tenant, "user", role) VALUES (?, ?, ?)
               ON CONFLICT (tenant, "user") DO UPDATE SET role = excluded.role"#,
            tenant,
            user,
            role,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // Whatever rule had made it: somebody has decided now.
        sqlx::query!(r#"DELETE FROM admission WHERE tenant = ? AND "user" = ?"#, tenant, user)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Whether a tenant would have no owner who may sign in, were it not for this member.
    pub(super) async fn is_last_owner(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let last = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM member WHERE tenant = ?1 AND "user" = ?2 AND role = 'owner')
                  AND NOT EXISTS (SELECT 1 FROM member JOIN "user" ON "user".id = member."user"
                                  WHERE member.tenant = ?1 AND member."user" <> ?2 AND member.role = 'owner'
                                    AND "user".state = 'active') AS "last!: bool""#,
            tenant,
            user,
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)?;
        Ok(last)
    }

    pub(crate) async fn is_member(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let is = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM member WHERE tenant = ? AND "user" = ?) AS "is!: bool""#,
            tenant,
            user,
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)?;
        Ok(is)
    }

    pub(crate) async fn delete_member(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let deleted = sqlx::query!(r#"DELETE FROM member WHERE tenant = ? AND "user" = ?"#, tenant, user)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }
}

impl Sqlite {
    pub(super) async fn members_of(&self, tenant: TenantId, after: Option<UserId>, limit: u32) -> Result<Vec<Member>> {
        let key = tenant.bytes().as_slice();
        // Any id is greater than no bytes.
        let after = after.map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = sqlx::query!(
            r#"SELECT "user", role FROM member WHERE tenant = ? AND "user" > ? ORDER BY "user" LIMIT ?"#,
            key,
            after,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(Member { tenant, user: id("member.user", &row.user)?, role: word("member.role", &row.role)? })
            })
            .collect()
    }

    pub(super) async fn role_of(&self, tenant: TenantId, user: UserId) -> Result<Option<Role>> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let role = sqlx::query_scalar!(r#"SELECT role FROM member WHERE tenant = ? AND "user" = ?"#, tenant, user)
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        role.map(|role| word("member.role", &role)).transpose()
    }

    pub(super) async fn memberships_of(
        &self,
        user: UserId,
        after: Option<&TenantSlug>,
        limit: u32,
    ) -> Result<Vec<Membership>> {
        let (user, after) = (user.bytes().as_slice(), after.map_or("", TenantSlug::as_str));
        let rows = sqlx::query!(
            r#"SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at, member.role
               FROM member
               JOIN tenant ON tenant.id = member.tenant
               JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
               WHERE member."user" = ? AND tenant_slug.slug > ?
               ORDER BY tenant_slug.slug
               LIMIT ?"#,
            user,
            after,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                let role = word("member.role", &row.role)?;
                let tenant = TenantRow {
                    id: row.id,
                    slug: row.slug,
                    name: row.name,
                    state: row.state,
                    created_at: row.created_at,
                };
                Ok(Membership { tenant: tenant.parse()?, role })
            })
            .collect()
    }
}
