use async_trait::async_trait;
use model::{AuditId, TenantId};
use storage::{
    Result,
    repo::{AuditEvent, AuditLog},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{from_json, id, newest_first, or_taken, time, to_json, word},
};

impl Write {
    /// Adds an event to the log.
    pub(crate) async fn audit(&mut self, event: &AuditEvent) -> Result<()> {
        let (id, tenant) = (event.id.bytes().as_slice(), event.tenant.map(|id| id.bytes().to_vec()));
        let (at, actor, details) = (event.at.millis(), event.actor.to_string(), to_json(&event.details)?);
        sqlx::query!(
            "INSERT INTO audit (id, tenant, at, actor, action, subject, details)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            id,
            tenant,
            at,
            actor,
            event.action,
            event.subject,
            details,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the audit event"))?;
        Ok(())
    }
}

#[async_trait]
impl AuditLog for Sqlite {
    async fn append(&self, event: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.audit(event).await?;
        write.commit().await
    }

    async fn newest(&self, tenant: Option<TenantId>, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEvent>> {
        let (tenant, before) = (tenant.map(|id| id.bytes().to_vec()), newest_first(before));
        let rows = sqlx::query!(
            "SELECT id, tenant, at, actor, action, subject, details
             FROM audit
             WHERE tenant IS ? AND id < ?
             ORDER BY id DESC
             LIMIT ?",
            tenant,
            before,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(AuditEvent {
                    id: id("audit.id", &row.id)?,
                    at: time(row.at),
                    tenant: row.tenant.map(|tenant| id("audit.tenant", &tenant)).transpose()?,
                    actor: word("audit.actor", &row.actor)?,
                    action: row.action,
                    subject: row.subject,
                    details: from_json("audit.details", &row.details)?,
                })
            })
            .collect()
    }
}
