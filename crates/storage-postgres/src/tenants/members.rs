//! Members of tenants.

use model::{Role, TenantId, TenantSlug, UserId};
use storage::{
    Result,
    repo::{Member, Membership},
};
use uuid::Uuid;

use super::TenantRow;
use crate::{
    Postgres,
    database::Write,
    row::{failed, word},
};

impl Write {
    /// Adds a member or changes their role. The tenant is held already.
    pub(crate) async fn set_member(&mut self, member: &Member) -> Result<()> {
        self.hold_user(member.user).await?;
        sqlx::query!(
            r#"INSERT INTO member (tenant, "user", role) VALUES ($1, $2, $3)
               ON CONFLICT (tenant, "user") DO UPDATE SET role = excluded.role"#,
            member.tenant.uuid(),
            member.user.uuid(),
            member.role.as_str(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // Whatever rule had made it: somebody has decided now.
        sqlx::query!(
            r#"DELETE FROM admission WHERE tenant = $1 AND "user" = $2"#,
            member.tenant.uuid(),
            member.user.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Whether a tenant would have no owner who may sign in, were it not for this member.
    pub(super) async fn is_last_owner(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM member WHERE tenant = $1 AND "user" = $2 AND role = 'owner')
                  AND NOT EXISTS (SELECT 1 FROM member JOIN "user" ON "user".id = member."user"
                                  WHERE member.tenant = $1 AND member."user" <> $2 AND member.role = 'owner'
                                    AND "user".state = 'active') AS "last!""#,
            tenant.uuid(),
            user.uuid(),
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)
    }

    pub(crate) async fn is_member(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM member WHERE tenant = $1 AND "user" = $2) AS "is!""#,
            tenant.uuid(),
            user.uuid(),
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)
    }

    pub(crate) async fn delete_member(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let deleted =
            sqlx::query!(r#"DELETE FROM member WHERE tenant = $1 AND "user" = $2"#, tenant.uuid(), user.uuid())
                .execute(self.on())
                .await
                .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }
}

impl Postgres {
    pub(super) async fn members_of(&self, tenant: TenantId, after: Option<UserId>, limit: u32) -> Result<Vec<Member>> {
        let rows = sqlx::query!(
            r#"SELECT "user", role FROM member WHERE tenant = $1 AND "user" > $2 ORDER BY "user" LIMIT $3"#,
            tenant.uuid(),
            // No id is nil.
            after.map_or(Uuid::nil(), UserId::uuid),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| Ok(Member { tenant, user: UserId::from_uuid(row.user), role: word("member.role", &row.role)? }))
            .collect()
    }

    pub(super) async fn role_of(&self, tenant: TenantId, user: UserId) -> Result<Option<Role>> {
        let role = sqlx::query_scalar!(
            r#"SELECT role FROM member WHERE tenant = $1 AND "user" = $2"#,
            tenant.uuid(),
            user.uuid(),
        )
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
        let rows = sqlx::query!(
            r#"SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at, member.role
               FROM member
               JOIN tenant ON tenant.id = member.tenant
               JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
               WHERE member."user" = $1 AND tenant_slug.slug > $2
               ORDER BY tenant_slug.slug
               LIMIT $3"#,
            user.uuid(),
            after.map_or("", TenantSlug::as_str),
            i64::from(limit),
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
