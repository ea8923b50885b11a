//! What one tenant decides about clients.

use model::{TenantId, Timestamp};
use storage::{
    Result,
    repo::{AuditEvent, ClientPolicies, ClientPolicy, ClientUse, GrantsOf},
};

use crate::{
    Postgres,
    row::{count, failed, from_json, time, to_json, word},
};

impl Postgres {
    pub(super) async fn clients_used_in(
        &self,
        tenant: TenantId,
        now: Timestamp,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ClientUse>> {
        let rows = sqlx::query!(
            r#"WITH seen AS (
                   SELECT client_id, max(client_name) AS name, count(*) AS grants, max(last_used_at) AS last_used_at,
                          NULL::bigint AS blocked_at
                   FROM "grant"
                   WHERE tenant = $1 AND state = 'active' AND expires_at > $2
                   GROUP BY client_id
                   UNION ALL
                   SELECT client_id, NULL, 0, NULL, blocked_at FROM client_block WHERE tenant = $1
               )
               SELECT client_id AS "client_id!", max(name) AS name, sum(grants)::bigint AS "grants!",
                      max(last_used_at) AS last_used_at, max(blocked_at) AS blocked_at
               FROM seen
               WHERE client_id > $3
               GROUP BY client_id
               ORDER BY client_id
               LIMIT $4"#,
            tenant.uuid(),
            now.millis(),
            after.unwrap_or_default(),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(ClientUse {
                    client_id: row.client_id,
                    name: row.name,
                    grants: count("grant", row.grants)?,
                    last_used_at: row.last_used_at.map(time),
                    blocked_at: row.blocked_at.map(time),
                })
            })
            .collect()
    }

    pub(super) async fn block_client_in(&self, tenant: TenantId, client_id: &str, audit: &AuditEvent) -> Result<bool> {
        let grants = GrantsOf::Client(Some(tenant), client_id.to_owned());
        self.end_grants_ahead(&grants, audit.at).await?;
        let mut write = self.write().await?;
        write.hold_tenant(tenant).await?;
        let blocked = sqlx::query!(
            "INSERT INTO client_block (tenant, client_id, blocked_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            tenant.uuid(),
            client_id,
            audit.at.millis(),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if blocked.rows_affected() == 0 {
            return Ok(false);
        }
        write.end_grants(&grants, audit.at).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    pub(super) async fn unblock_client_in(
        &self,
        tenant: TenantId,
        client_id: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let mut write = self.write().await?;
        let removed =
            sqlx::query!("DELETE FROM client_block WHERE tenant = $1 AND client_id = $2", tenant.uuid(), client_id,)
                .execute(write.on())
                .await
                .map_err(failed)?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    pub(super) async fn is_client_blocked_in(&self, tenant: TenantId, client_id: &str) -> Result<bool> {
        let found = sqlx::query_scalar!(
            "SELECT blocked_at FROM client_block WHERE tenant = $1 AND client_id = $2",
            tenant.uuid(),
            client_id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        Ok(found.is_some())
    }

    pub(super) async fn client_policies(&self, tenant: TenantId) -> Result<ClientPolicies> {
        let row =
            sqlx::query!("SELECT dcr, dcr_allow, cimd, cimd_allow FROM client_policy WHERE tenant = $1", tenant.uuid())
                .fetch_optional(self.read())
                .await
                .map_err(failed)?;
        let Some(row) = row else { return Ok(ClientPolicies::default()) };
        Ok(ClientPolicies {
            dynamic: ClientPolicy {
                mode: word("client_policy.dcr", &row.dcr)?,
                allow: from_json("client_policy.dcr_allow", &row.dcr_allow)?,
            },
            documents: ClientPolicy {
                mode: word("client_policy.cimd", &row.cimd)?,
                allow: from_json("client_policy.cimd_allow", &row.cimd_allow)?,
            },
        })
    }

    pub(super) async fn set_client_policies(
        &self,
        tenant: TenantId,
        policies: &ClientPolicies,
        audit: &AuditEvent,
    ) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_tenant(tenant).await?;
        sqlx::query!(
            "INSERT INTO client_policy (tenant, dcr, dcr_allow, cimd, cimd_allow) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant) DO UPDATE SET dcr = excluded.dcr, dcr_allow = excluded.dcr_allow,
                 cimd = excluded.cimd, cimd_allow = excluded.cimd_allow",
            tenant.uuid(),
            policies.dynamic.mode.as_str(),
            to_json(&policies.dynamic.allow)?,
            policies.documents.mode.as_str(),
            to_json(&policies.documents.allow)?,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.audit(audit).await?;
        write.commit().await
    }
}
