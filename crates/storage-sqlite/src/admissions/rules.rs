//! Rules, and the memberships that rest on them.

use model::{ConnectionId, Role, RuleId, TenantId, Timestamp, UserId};
use storage::{
    Result,
    repo::{AccessRule, Admission, GrantsOf, Member},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{id, or_taken, time, word},
};

struct RuleRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    connection: Vec<u8>,
    kind: String,
    value: String,
    role: String,
    created_at: i64,
    declared: bool,
}

impl RuleRow {
    fn parse(self) -> Result<AccessRule> {
        Ok(AccessRule {
            id: id("access_rule.id", &self.id)?,
            tenant: id("access_rule.tenant", &self.tenant)?,
            connection: id("access_rule.connection", &self.connection)?,
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
    tenant: Vec<u8>,
    user: Vec<u8>,
}

impl Sqlite {
    pub(super) async fn rules_of_tenant(
        &self,
        tenant: TenantId,
        after: Option<RuleId>,
        limit: u32,
    ) -> Result<Vec<AccessRule>> {
        // Any id is greater than no bytes.
        let (tenant, after) = (tenant.bytes().as_slice(), after.map(|id| id.bytes().to_vec()).unwrap_or_default());
        let rows = sqlx::query_as!(
            RuleRow,
            r#"SELECT id, tenant, connection, kind, value, role, created_at, declared AS "declared: bool"
               FROM access_rule
               WHERE tenant = ? AND id > ?
               ORDER BY id
               LIMIT ?"#,
            tenant,
            after,
            limit,
        );
        rows.fetch_all(self.read()).await.map_err(failed)?.into_iter().map(RuleRow::parse).collect()
    }

    pub(super) async fn rules_of_connection(
        &self,
        connection: ConnectionId,
        after: Option<RuleId>,
        limit: u32,
    ) -> Result<Vec<AccessRule>> {
        let connection = connection.bytes().as_slice();
        let after = after.map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = sqlx::query_as!(
            RuleRow,
            r#"SELECT id, tenant, connection, kind, value, role, created_at, declared AS "declared: bool"
               FROM access_rule
               WHERE connection = ? AND id > ?
               ORDER BY id
               LIMIT ?"#,
            connection,
            after,
            limit,
        );
        rows.fetch_all(self.read()).await.map_err(failed)?.into_iter().map(RuleRow::parse).collect()
    }

    pub(super) async fn admissions_of(&self, user: UserId, connection: ConnectionId) -> Result<Vec<Admission>> {
        let (key, connection) = (user.bytes().as_slice(), connection.bytes().as_slice());
        let rows = sqlx::query!(
            r#"SELECT member.tenant, member.role, admission.rule
               FROM admission
               JOIN access_rule ON access_rule.id = admission.rule
               JOIN member ON member.tenant = admission.tenant AND member."user" = admission."user"
               WHERE admission."user" = ? AND access_rule.connection = ?
               ORDER BY member.tenant"#,
            key,
            connection,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let admission = |(tenant, role, rule): (Vec<u8>, String, Vec<u8>)| {
            let member = Member { tenant: id("member.tenant", &tenant)?, user, role: word("member.role", &role)? };
            Ok(Admission { member, rule: id("admission.rule", &rule)? })
        };
        rows.into_iter().map(|row| admission((row.tenant, row.role, row.rule))).collect()
    }

    pub(super) async fn rule_behind(&self, tenant: TenantId, user: UserId) -> Result<Option<RuleId>> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let rule = sqlx::query_scalar!(r#"SELECT rule FROM admission WHERE tenant = ? AND "user" = ?"#, tenant, user)
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        rule.map(|rule| id("admission.rule", &rule)).transpose()
    }
}

impl Write {
    pub(super) async fn insert_rule(&mut self, rule: &AccessRule) -> Result<()> {
        let (id, tenant) = (rule.id.bytes().as_slice(), rule.tenant.bytes().as_slice());
        let (connection, created_at) = (rule.connection.bytes().as_slice(), rule.created_at.millis());
        let (kind, given) = (rule.kind.as_str(), rule.role.as_str());
        sqlx::query!(
            "INSERT INTO access_rule (id, tenant, connection, kind, value, role, created_at, declared)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            tenant,
            connection,
            kind,
            rule.value,
            given,
            created_at,
            rule.declared,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the rule"))?;
        Ok(())
    }

    pub(super) async fn update_rule(&mut self, tenant: TenantId, id: RuleId, role: Role) -> Result<bool> {
        let (tenant, id, role) = (tenant.bytes().as_slice(), id.bytes().as_slice(), role.as_str());
        let updated = sqlx::query!("UPDATE access_rule SET role = ? WHERE tenant = ? AND id = ?", role, tenant, id)
            .execute(self.on())
            .await
            .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            r#"UPDATE member SET role = ?
               WHERE tenant = ? AND "user" IN (SELECT "user" FROM admission WHERE rule = ?)"#,
            role,
            tenant,
            id,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(true)
    }

    pub(super) async fn remove_rule(&mut self, tenant: TenantId, id: RuleId) -> Result<bool> {
        let (tenant, id) = (tenant.bytes().as_slice(), id.bytes().as_slice());
        let deleted = sqlx::query!("DELETE FROM access_rule WHERE tenant = ? AND id = ?", tenant, id)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }

    pub(super) async fn put_admission(&mut self, admission: &Admission) -> Result<bool> {
        let Admission { member, rule } = admission;
        let (tenant, user) = (member.tenant.bytes().as_slice(), member.user.bytes().as_slice());
        let (given, rule) = (member.role.as_str(), rule.bytes().as_slice());
        let put = sqlx::query!(
            r#"INSERT INTO member (tenant, "user", role) VALUES (?, ?, ?)
               ON CONFLICT (tenant, "user") DO UPDATE SET role = excluded.role
               WHERE EXISTS (SELECT 1 FROM admission
                             WHERE admission.tenant = member.tenant AND admission."user" = member."user")"#,
            tenant,
            user,
            given,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if put.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            r#"INSERT INTO admission (tenant, "user", rule) VALUES (?, ?, ?)
               ON CONFLICT (tenant, "user") DO UPDATE SET rule = excluded.rule"#,
            tenant,
            user,
            rule,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(true)
    }

    pub(super) async fn delete_admitted(&mut self, tenant: TenantId, user: UserId) -> Result<bool> {
        let (tenant, user) = (tenant.bytes().as_slice(), user.bytes().as_slice());
        let deleted = sqlx::query!(
            r#"DELETE FROM member
               WHERE tenant = ?1 AND "user" = ?2
                 AND EXISTS (SELECT 1 FROM admission WHERE tenant = ?1 AND "user" = ?2)"#,
            tenant,
            user,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }

    /// Ends the memberships that rest on a rule, and their grants.
    pub(super) async fn end_admissions_of_rule(
        &mut self,
        tenant: TenantId,
        rule: RuleId,
        now: Timestamp,
    ) -> Result<()> {
        let (tenant, rule) = (tenant.bytes().as_slice(), rule.bytes().as_slice());
        let ending = sqlx::query_as!(
            Ending,
            r#"DELETE FROM member
               WHERE tenant = ?1 AND "user" IN (SELECT "user" FROM admission WHERE tenant = ?1 AND rule = ?2)
               RETURNING tenant, "user""#,
            tenant,
            rule,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.end_grants_of(&ending, now).await
    }

    /// The same for all rules about a connection, in whatever tenants.
    pub(crate) async fn end_admissions_of_connection(
        &mut self,
        connection: ConnectionId,
        now: Timestamp,
    ) -> Result<()> {
        let connection = connection.bytes().as_slice();
        let ending = sqlx::query_as!(
            Ending,
            r#"DELETE FROM member
               WHERE (tenant, "user") IN (SELECT admission.tenant, admission."user"
                                          FROM admission JOIN access_rule ON access_rule.id = admission.rule
                                          WHERE access_rule.connection = ?)
               RETURNING tenant, "user""#,
            connection,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        self.end_grants_of(&ending, now).await
    }

    async fn end_grants_of(&mut self, ending: &[Ending], now: Timestamp) -> Result<()> {
        for Ending { tenant, user } in ending {
            let (tenant, user) = (id("member.tenant", tenant)?, id("member.user", user)?);
            self.end_grants(&GrantsOf::Member(tenant, user), now).await?;
            self.change_tenant(tenant).await?;
        }
        Ok(())
    }
}
