use std::time::Duration;

use async_trait::async_trait;
use model::Timestamp;
use storage::{
    AT_ONCE, Cursor, Found, Maintenance, Owner, Result, Scan, TOMBSTONE_LIFE,
    repo::{Admissions as _, Clients, Grants, Usage},
};

use crate::{Postgres, database::Write, failed, key_value::ValueRow, row::count};

/// How long a replica that was not seen is remembered.
const REPLICA_MEMORY: Duration = Duration::from_hours(1);

impl Write {
    /// Removes every value of an owner.
    pub(crate) async fn delete_values(&mut self, owner: Owner) -> Result<()> {
        sqlx::query!("DELETE FROM key_value WHERE owner = $1", owner.to_string())
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(())
    }
}

impl Postgres {
    /// Removes values of an owner who is about to be removed, for as long as there are too many for one transaction.
    pub(crate) async fn delete_values_ahead(&self, owner: Owner) -> Result<()> {
        loop {
            let deleted = sqlx::query!(
                "DELETE FROM key_value
                 WHERE ctid IN (SELECT ctid FROM key_value WHERE owner = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                owner.to_string(),
                i64::from(AT_ONCE),
            )
            .execute(self.read())
            .await
            .map_err(failed)?;
            if deleted.rows_affected() < u64::from(AT_ONCE) {
                return Ok(());
            }
        }
    }

    /// Removes values that have expired. Leaves out rows that somebody is writing, so that several replicas
    /// clean up without waiting for each other.
    async fn purge_values(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let purged = sqlx::query!(
            "DELETE FROM key_value
             WHERE ctid IN (SELECT ctid FROM key_value WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
               AND expires_at <= $1",
            now.millis(),
            i64::from(limit),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(purged.rows_affected())
    }
}

#[async_trait]
impl Maintenance for Postgres {
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        // Each has its turn, whatever became of the others.
        let purged = [
            self.purge_values(now, limit).await,
            Clients::purge(self, now, limit).await,
            Grants::purge(self, now - TOMBSTONE_LIFE, limit).await,
            self.purge_replicas(now - REPLICA_MEMORY, limit).await,
            self.finish_shredding(now, limit).await,
            self.trim_feed(now, limit).await,
            Usage::purge(self, now, limit).await,
            self.purge_invitations(now, limit).await,
        ];
        purged.into_iter().sum()
    }

    async fn count(&self) -> Result<u64> {
        let values = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM key_value"#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        count("the number of values", values)
    }

    async fn scan(&self, after: Option<&Cursor>, limit: u32) -> Result<Scan> {
        let (owner, collection, key) = after.map(Cursor::place).transpose()?.unwrap_or_default();
        let rows = sqlx::query!(
            "SELECT owner, collection, key, value, revision, expires_at, format
             FROM key_value
             WHERE (owner, collection, key) > ($1, $2, $3)
             ORDER BY owner, collection, key
             LIMIT $4",
            owner,
            collection,
            key,
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let last = rows.last().filter(|_| rows.len() >= limit as usize);
        let next = last.map(|last| Cursor::behind(&last.owner, &last.collection, &last.key));
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(owner) = row.owner.parse() else {
                // Nothing can read it: no place has such an owner.
                tracing::warn!(owner = row.owner, collection = row.collection, "a stored value belongs to nobody");
                continue;
            };
            let (value, revision, expires_at, format) = (row.value, row.revision, row.expires_at, row.format);
            let entry = ValueRow { value, revision, expires_at, format }.entry()?;
            found.push(Found { owner, collection: row.collection, key: row.key, entry });
        }
        Ok(Scan { found, next })
    }

    async fn rewrite(&self, found: &Found, value: &[u8]) -> Result<bool> {
        let rewritten = sqlx::query!(
            "UPDATE key_value SET value = $1 WHERE owner = $2 AND collection = $3 AND key = $4 AND revision = $5",
            value,
            found.owner.to_string(),
            found.collection,
            found.key,
            i64::try_from(found.entry.revision.0).unwrap_or(i64::MAX),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(rewritten.rows_affected() > 0)
    }
}
