use async_trait::async_trait;
use model::{ServerId, TenantId, Timestamp};
use storage::{
    Result,
    repo::{BATCH_MEMORY, USAGE_LIFE, Usage, UsageBatch, UsageCount},
};

use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    failed,
    row::{count, id, time},
};

/// No hour has more, and any two of them add up.
fn stored(count: u64) -> i64 {
    i64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Write {
    /// Keeps servers and their tenants from being removed. Left to the foreign key, which looks when counts
    /// are locked already, this would wait for a removal that waits for those counts.
    async fn hold_servers(&mut self, tenants: &[Uuid], servers: &[Uuid]) -> Result<()> {
        sqlx::query!(
            r#"SELECT server.id
               FROM tenant
               JOIN server ON server.tenant = tenant.id
               WHERE (server.tenant, server.id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
               ORDER BY server.tenant, server.id
               FOR KEY SHARE OF tenant, server"#,
            tenants,
            servers,
        )
        .fetch_all(self.on())
        .await
        .map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl Usage for Postgres {
    async fn add(&self, batch: &UsageBatch, at: Timestamp) -> Result<bool> {
        let mut write = self.write().await?;
        let noted = sqlx::query!(
            "INSERT INTO usage_batch (id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            batch.id.uuid(),
            at.millis(),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if noted.rows_affected() == 0 {
            return Ok(false);
        }
        let tenants: Vec<_> = batch.counts.iter().map(|count| count.tenant.uuid()).collect();
        let servers: Vec<_> = batch.counts.iter().map(|count| count.server.uuid()).collect();
        let hours: Vec<_> = batch.counts.iter().map(|count| count.hour.millis()).collect();
        let calls: Vec<_> = batch.counts.iter().map(|count| stored(count.calls)).collect();
        let errors: Vec<_> = batch.counts.iter().map(|count| stored(count.errors)).collect();
        write.hold_servers(&tenants, &servers).await?;
        // In one order, so that two batches at once do not wait for each other in a circle.
        sqlx::query!(
            "INSERT INTO usage (tenant, server, hour, calls, errors)
             SELECT server.tenant, server.id, new.hour, sum(new.calls)::bigint, sum(new.errors)::bigint
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
                  AS new (tenant, server, hour, calls, errors)
             JOIN server ON server.tenant = new.tenant AND server.id = new.server
             GROUP BY server.tenant, server.id, new.hour
             ORDER BY server.tenant, server.id, new.hour
             ON CONFLICT (tenant, server, hour) DO UPDATE
             SET calls = usage.calls + excluded.calls, errors = usage.errors + excluded.errors",
            &tenants,
            &servers,
            &hours,
            &calls,
            &errors,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        Ok(true)
    }

    async fn since(&self, tenant: TenantId, server: ServerId, since: Timestamp) -> Result<Vec<UsageCount>> {
        let rows = sqlx::query!(
            "SELECT tenant, server, hour, calls, errors
             FROM usage
             WHERE tenant = $1 AND server = $2 AND hour >= $3
             ORDER BY hour",
            tenant.uuid(),
            server.uuid(),
            since.millis(),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let counts = rows.into_iter().map(|row| {
            Ok(UsageCount {
                tenant: id(row.tenant),
                server: id(row.server),
                hour: time(row.hour),
                calls: count("usage.calls", row.calls)?,
                errors: count("usage.errors", row.errors)?,
            })
        });
        counts.collect()
    }

    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let forgotten = sqlx::query!(
            "DELETE FROM usage_batch
             WHERE ctid IN (SELECT ctid FROM usage_batch WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            (now - BATCH_MEMORY).millis(),
            i64::from(limit),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        let dropped = sqlx::query!(
            "DELETE FROM usage
             WHERE ctid IN (SELECT ctid FROM usage WHERE hour < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            (now - USAGE_LIFE).millis(),
            i64::from(limit),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(forgotten.rows_affected() + dropped.rows_affected())
    }
}
