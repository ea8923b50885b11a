use async_trait::async_trait;
use model::{AuditId, TenantId};
use storage::{
    Result,
    repo::{AuditEvent, AuditLog},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    row::{failed, from_json, or_taken, time, to_json, word},
};

struct AuditRow {
    id: Uuid,
    tenant: Option<Uuid>,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    details: String,
}

impl AuditRow {
    fn parse(self) -> Result<AuditEvent> {
        Ok(AuditEvent {
            id: AuditId::from_uuid(self.id),
            at: time(self.at),
            tenant: self.tenant.map(TenantId::from_uuid),
            actor: word("audit.actor", &self.actor)?,
            action: self.action,
            subject: self.subject,
            details: from_json("audit.details", &self.details)?,
        })
    }
}

impl Write {
    /// Adds an event to the log.
    pub(crate) async fn audit(&mut self, event: &AuditEvent) -> Result<()> {
        sqlx::query!(
            "INSERT INTO audit (id, tenant, at, actor, action, subject, details)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            event.id.uuid(),
            event.tenant.map(TenantId::uuid),
            event.at.millis(),
            event.actor.to_string(),
            event.action,
            event.subject,
            to_json(&event.details)?,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the audit event"))?;
        Ok(())
    }
}

#[async_trait]
impl AuditLog for Postgres {
    async fn append(&self, event: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.audit(event).await?;
        write.commit().await
    }

    async fn newest(&self, tenant: Option<TenantId>, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEvent>> {
        let (before, limit) = (before.map_or(Uuid::max(), AuditId::uuid), i64::from(limit));
        // Two queries, because Postgres finds nothing by an index when a parameter may be null.
        let rows = match tenant {
            None => {
                sqlx::query_as!(
                    AuditRow,
                    "SELECT id, tenant, at, actor, action, subject, details
                     FROM audit
                     WHERE tenant IS NULL AND id < $1
                     ORDER BY id DESC
                     LIMIT $2",
                    before,
                    limit,
                )
                .fetch_all(self.read())
                .await
            }
            Some(tenant) => {
                sqlx::query_as!(
                    AuditRow,
                    "SELECT id, tenant, at, actor, action, subject, details
                     FROM audit
                     WHERE tenant = $1 AND id < $2
                     ORDER BY id DESC
                     LIMIT $3",
                    tenant.uuid(),
                    before,
                    limit,
                )
                .fetch_all(self.read())
                .await
            }
        };
        rows.map_err(failed)?.into_iter().map(AuditRow::parse).collect()
    }
}
