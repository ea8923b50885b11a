//! Members of tenants.

use model::{TenantId, UserId};
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
    pub(super) async fn set_member(&mut self, member: &Member) -> Result<()> {
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
        Ok(())
    }

    pub(super) async fn delete_member(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let deleted = sqlx::query!(r#"DELETE FROM member WHERE tenant = ? AND "user" = ?"#, tenant, user)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }
}

impl Sqlite {
    pub(super) async fn members_of(&self, tenant: TenantId) -> Result<Vec<Member>> {
        let key = tenant.bytes().as_slice();
        let rows = sqlx::query!(r#"SELECT "user", role FROM member WHERE tenant = ? ORDER BY "user""#, key)
            .fetch_all(self.read())
            .await
            .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(Member { tenant, user: id("member.user", &row.user)?, role: word("member.role", &row.role)? })
            })
            .collect()
    }

    pub(super) async fn memberships_of(&self, user: UserId) -> Result<Vec<Membership>> {
        let user = user.bytes().as_slice();
        let rows = sqlx::query!(
            r#"SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at, member.role
               FROM member
               JOIN tenant ON tenant.id = member.tenant
               JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
               WHERE member."user" = ?
               ORDER BY tenant_slug.slug"#,
            user,
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
