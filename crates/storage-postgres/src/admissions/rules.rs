//! Rules, and the memberships that rest on them.

use model::{ConnectionId, Role, RuleId, TenantId, Timestamp, UserId};
use storage::{
    Result,
    repo::{AccessRule, Admission, GrantsOf, Member},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    row::{failed, id, or_taken, time, word},
};

struct RuleRow {
    id: Uuid,
    tenant: Uuid,
    connection: Uuid,
    kind: String,
    value: String,
    role: String,
    created_at: i64,
    declared: bool,
}

impl RuleRow {
    fn parse(self) -> Result<AccessRule> {
        Ok(AccessRule {
            id: id(self.id),
            tenant: id(self.tenant),
            connection: id(self.connection),
            kind: word("access_rule.kind", &self.kind)?,
            value: self.value,
            role: word("access_rule.role", &self.role)?,
            created_at: time(self.created_at),
            declared: self.declared,
        })
    }
}

/// A membership that is being ended.
struct Ending {
    tenant: Uuid,
    user: Uuid,
}

impl Postgres {
    pub(super) async fn rules_of_tenant(
        &self,
        tenant: TenantId,
        after: Option<RuleId>,
        limit: u32,
    ) -> Result<Vec<AccessRule>> {
        let rows = sqlx::query_as!(
            RuleRow,
            "SELECT id, tenant, connection, kind, value, role, created_at, declared
             FROM access_rule
             WHERE tenant = $1 AND id > $2
             ORDER BY id
             LIMIT $3",
            tenant.uuid(),
            // No id is nil.
            after.map_or(Uuid::nil(), RuleId::uuid),
            i64::from(limit),
        );
        rows.fetch_all(self.read()).await.map_err(failed)?.into_iter().map(RuleRow::parse).collect()
    }

    pub(super) async fn rules_of_connection(
        &self,
        connection: ConnectionId,
        after: Option<RuleId>,
        limit: u32,
    ) -> Result<Vec<AccessRule>> {
        let rows = sqlx::query_as!(
            RuleRow,
            "SELECT id, tenant, connection, kind, value, role, created_at, declared
             FROM access_rule
             WHERE connection = $1 AND id > $2
             ORDER BY id
             LIMIT $3",
            connection.uuid(),
            after.map_or(Uuid::nil(), RuleId::uuid),
            i64::from(limit),
        );
        rows.fetch_all(self.read()).await.map_err(failed)?.into_iter().map(RuleRow::parse).collect()
    }

    pub(super) async fn admissions_of(&self, user: UserId, connection: ConnectionId) -> Result<Vec<Admission>> {
        let rows = sqlx::query!(
            r#"SELECT member.tenant, member.role, admission.rule
               FROM admission
               JOIN access_rule ON access_rule.id = admission.rule
               JOIN member ON member.tenant = admission.tenant AND member."user" = admission."user"
               WHERE admission."user" = $1 AND access_rule.connection = $2
               ORDER BY member.tenant"#,
            user.uuid(),
            connection.uuid(),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let admission = |(tenant, role, rule): (Uuid, String, Uuid)| {
            let member = Member { tenant: id(tenant), user, role: word("member.role", &role)? };
            Ok(Admission { member, rule: id(rule) })
        };
        rows.into_iter().map(|row| admission((row.tenant, row.role, row.rule))).collect()
    }

    pub(super) async fn rule_behind(&self, tenant: TenantId, user: UserId) -> Result<Option<RuleId>> {
        let rule = sqlx::query_scalar!(
            r#"SELECT rule FROM admission WHERE tenant = $1 AND "user" = $2"#,
            tenant.uuid(),
            user.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        Ok(rule.map(id))
    }
}

impl Write {
    pub(super) async fn insert_rule(&mut self, rule: &AccessRule) -> Result<()> {
        sqlx::query!(
            "INSERT INTO access_rule (id, tenant, connection, kind, value, role, created_at, declared)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            rule.id.uuid(),
            rule.tenant.uuid(),
            rule.connection.uuid(),
            rule.kind.as_str(),
            rule.value,
            rule.role.as_str(),
            rule.created_at.millis(),
            rule.declared,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the rule"))?;
        Ok(())
    }

    pub(super) async fn update_rule(&mut self, tenant: TenantId, id: RuleId, role: Role) -> Result<bool> {
        let updated = sqlx::query!(
            "UPDATE access_rule SET role = $1 WHERE tenant = $2 AND id = $3",
            role.as_str(),
            tenant.uuid(),
            id.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            r#"UPDATE member SET role = $1
               WHERE tenant = $2 AND "user" IN (SELECT "user" FROM admission WHERE rule = $3)"#,
            role.as_str(),
            tenant.uuid(),
            id.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(true)
    }

    pub(super) async fn remove_rule(&mut self, tenant: TenantId, id: RuleId) -> Result<bool> {
        let deleted = sqlx::query!("DELETE FROM access_rule WHERE tenant = $1 AND id = $2", tenant.uuid(), id.uuid())
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }

    /// The tenant and the person are held already.
    pub(super) async fn put_admission(&mut self, admission: &Admission) -> Result<bool> {
        let Admission { member, rule } = admission;
        let put = sqlx::query!(
            r#"INSERT INTO member (tenant, "user", role) VALUES ($1, $2, $3)
               ON CONFLICT (tenant, "user") DO UPDATE SET role = excluded.role
               WHERE EXISTS (SELECT 1 FROM admission
                             WHERE admission.tenant = member.tenant AND admission."user" = member."user")"#,
            member.tenant.uuid(),
            member.user.uuid(),
            member.role.as_str(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if put.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            r#"INSERT INTO admission (tenant, "user", rule) VALUES ($1, $2, $3)
               ON CONFLICT (tenant, "user") DO UPDATE SET rule = excluded.rule"#,
            member.tenant.uuid(),
            member.user.uuid(),
            rule.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(true)
    }

    pub(super) async fn delete_admitted(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let deleted = sqlx::query!(
            r#"DELETE FROM member
               WHERE tenant = $1 AND "user" = $2
                 AND EXISTS (SELECT 1 FROM admission WHERE tenant = $1 AND "user" = $2)"#,
            tenant.uuid(),
            user.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }

    /// Ends the memberships that rest on a rule, and their grants. Whoever is being admitted by it at this
    /// moment holds the rule's row, which is waited for first.
    pub(super) async fn end_admissions_of_rule(
        &mut self,
        tenant: TenantId,
        rule: RuleId,
        now: Timestamp,
    ) -> Result<()> {
        sqlx::query_scalar!(
            "SELECT id FROM access_rule WHERE tenant = $1 AND id = $2 FOR UPDATE",
            tenant.uuid(),
            rule.uuid(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        let ending = sqlx::query_as!(
            Ending,
            r#"DELETE FROM member
               WHERE tenant = $1 AND "user" IN (SELECT "user" FROM admission WHERE tenant = $1 AND rule = $2)
               RETURNING tenant, "user""#,
            tenant.uuid(),
            rule.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.end_grants_of(ending, now).await
    }

    /// The same for all rules about a connection, in whatever tenants.
    pub(crate) async fn end_admissions_of_connection(
        &mut self,
        connection: ConnectionId,
        now: Timestamp,
    ) -> Result<()> {
        sqlx::query_scalar!(
            "SELECT id FROM access_rule WHERE connection = $1 ORDER BY id FOR UPDATE",
            connection.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        let ending = sqlx::query_as!(
            Ending,
            r#"DELETE FROM member
               WHERE (tenant, "user") IN (SELECT admission.tenant, admission."user"
                                          FROM admission JOIN access_rule ON access_rule.id = admission.rule
                                          WHERE access_rule.connection = $1)
               RETURNING tenant, "user""#,
            connection.uuid(),
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.end_grants_of(ending, now).await
    }

    async fn end_grants_of(&mut self, mut ending: Vec<Ending>, now: Timestamp) -> Result<()> {
        ending.sort_by_key(|Ending { tenant, user }| (*tenant, *user));
        for Ending { tenant, user } in ending {
            self.end_grants(&GrantsOf::Member(id(tenant), id(user)), now).await?;
            self.change_tenant(id(tenant));
        }
        Ok(())
    }
}
