use async_trait::async_trait;
use model::Timestamp;
use storage::{Entry, Keep, KeyValue, Place, Result, Revision};
use zeroize::Zeroizing;

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, time},
};

pub(crate) struct ValueRow {
    pub(crate) value: Vec<u8>,
    pub(crate) revision: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) format: i64,
}

impl ValueRow {
    pub(crate) fn entry(self) -> Result<Entry> {
        let keep = self.expires_at.map_or(Keep::Forever, |at| Keep::Until(time(at)));
        let revision = Revision(count("key_value.revision", self.revision)?);
        let format = count("key_value.format", self.format)?;
        Ok(Entry { value: Zeroizing::new(self.value), revision, keep, format })
    }

    fn live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|until| now < time(until))
    }
}

impl Write {
    /// What is at a place, unless it has expired.
    async fn value(&mut self, at: Place<'_>, now: Timestamp) -> Result<Option<ValueRow>> {
        let owner = at.owner.to_string();
        let row = sqlx::query_as!(
            ValueRow,
            "SELECT value, revision, expires_at, format
             FROM key_value
             WHERE owner = ? AND collection = ? AND key = ?",
            owner,
            at.collection.name,
            at.key,
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        Ok(row.filter(|row| row.live(now)))
    }

    async fn set_value(&mut self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        let revision =
            sqlx::query_scalar!(r#"UPDATE key_value_revision SET last = last + 1 RETURNING last AS "last!: i64""#)
                .fetch_one(self.on())
                .await
                .map_err(failed)?;
        let (owner, expires_at) = (at.owner.to_string(), keep.until().map(Timestamp::millis));
        sqlx::query!(
            "INSERT INTO key_value (owner, collection, key, value, revision, expires_at, format)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (owner, collection, key) DO UPDATE
             SET value = excluded.value, revision = excluded.revision, expires_at = excluded.expires_at,
                 format = excluded.format",
            owner,
            at.collection.name,
            at.key,
            value,
            revision,
            expires_at,
            at.collection.format,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(Revision(count("key_value_revision.last", revision)?))
    }
}

#[async_trait]
impl KeyValue for Sqlite {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let owner = at.owner.to_string();
        let row = sqlx::query_as!(
            ValueRow,
            "SELECT value, revision, expires_at, format
             FROM key_value
             WHERE owner = ? AND collection = ? AND key = ?",
            owner,
            at.collection.name,
            at.key,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.filter(|row| row.live(self.0.clock.now())).map(ValueRow::entry).transpose()
    }

    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        let mut write = self.write().await?;
        let revision = write.set_value(at, value, keep).await?;
        write.commit().await?;
        Ok(revision)
    }

    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        let mut write = self.write().await?;
        if write.value(at, self.0.clock.now()).await?.is_some() {
            return Ok(None);
        }
        let revision = write.set_value(at, value, keep).await?;
        write.commit().await?;
        Ok(Some(revision))
    }

    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let mut write = self.write().await?;
        let owner = at.owner.to_string();
        let row = sqlx::query_as!(
            ValueRow,
            r#"DELETE FROM key_value
               WHERE owner = ? AND collection = ? AND key = ?
               RETURNING value AS "value!", revision AS "revision!: i64", expires_at AS "expires_at?: i64",
                         format AS "format!: i64""#,
            owner,
            at.collection.name,
            at.key,
        )
        .fetch_optional(write.on())
        .await
        .map_err(failed)?;
        write.commit().await?;
        row.filter(|row| row.live(self.0.clock.now())).map(ValueRow::entry).transpose()
    }

    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        let mut write = self.write().await?;
        let found = write.value(at, self.0.clock.now()).await?;
        if found.is_none_or(|row| u64::try_from(row.revision) != Ok(expected.0)) {
            return Ok(None);
        }
        let revision = write.set_value(at, value, keep).await?;
        write.commit().await?;
        Ok(Some(revision))
    }

    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        Ok(self.take(at).await?.is_some())
    }
}
