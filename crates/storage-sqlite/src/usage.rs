use async_trait::async_trait;
use model::{ServerId, TenantId, Timestamp};
use storage::{
    Result,
    repo::{BATCH_MEMORY, USAGE_LIFE, Usage, UsageBatch, UsageCount},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, id, time},
};

impl Write {
    /// Whether a batch is new; from now on it is not.
    async fn note_batch(&mut self, batch: &UsageBatch, at: Timestamp) -> Result<bool> {
        let (id, at) = (batch.id.bytes().as_slice(), at.millis());
        let noted = sqlx::query!("INSERT INTO usage_batch (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING", id, at)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(noted.rows_affected() > 0)
    }

    async fn add_usage(&mut self, usage: &UsageCount) -> Result<()> {
        let (tenant, server) = (usage.tenant.bytes().as_slice(), usage.server.bytes().as_slice());
        let (hour, calls, errors) = (usage.hour.millis(), stored(usage.calls), stored(usage.errors));
        sqlx::query!(
            "INSERT INTO usage (tenant, server, hour, calls, errors)
             SELECT tenant, id, ?, ?, ?
             FROM server
             WHERE tenant = ? AND id = ?
             ON CONFLICT (tenant, server, hour) DO UPDATE
             SET calls = usage.calls + excluded.calls, errors = usage.errors + excluded.errors",
            hour,
            calls,
            errors,
            tenant,
            server,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(())
    }
}

/// No hour has more, and any two of them add up.
fn stored(count: u64) -> i64 {
    i64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[async_trait]
impl Usage for Sqlite {
    async fn add(&self, batch: &UsageBatch, at: Timestamp) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.note_batch(batch, at).await? {
            return Ok(false);
        }
        for usage in &batch.counts {
            write.add_usage(usage).await?;
        }
        write.commit().await?;
        Ok(true)
    }

    async fn since(&self, tenant: TenantId, server: ServerId, since: Timestamp) -> Result<Vec<UsageCount>> {
        let (whose, which, since) = (tenant.bytes().as_slice(), server.bytes().as_slice(), since.millis());
        let rows = sqlx::query!(
            "SELECT tenant, server, hour, calls, errors
             FROM usage
             WHERE tenant = ? AND server = ? AND hour >= ?
             ORDER BY hour",
            whose,
            which,
            since,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let counts = rows.into_iter().map(|row| {
            Ok(UsageCount {
                tenant: id("usage.tenant", &row.tenant)?,
                server: id("usage.server", &row.server)?,
                hour: time(row.hour),
                calls: count("usage.calls", row.calls)?,
                errors: count("usage.errors", row.errors)?,
            })
        });
        counts.collect()
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let (batches, counts) = ((now - BATCH_MEMORY).millis(), (now - USAGE_LIFE).millis());
        let mut write = self.write().await?;
        let forgotten = sqlx::query!(
            "DELETE FROM usage_batch WHERE id IN (SELECT id FROM usage_batch WHERE at < ? LIMIT ?)",
            batches,
            limit,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        let dropped = sqlx::query!(
            "DELETE FROM usage
             WHERE (tenant, server, hour) IN (SELECT tenant, server, hour FROM usage WHERE hour < ? LIMIT ?)",
            counts,
            limit,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(forgotten.rows_affected() + dropped.rows_affected())
    }
}
