use async_trait::async_trait;
use model::Timestamp;
use storage::{Entry, Keep, KeyValue, Place, Result, Revision};
use zeroize::Zeroizing;

use crate::{
    Postgres, failed,
    row::{count, time},
};

// Every verb is one statement. Postgres locks the row that it changes, waits for whoever is changing it, and
// then looks at the conditions anew: so of several callers one finds them true.
//
// A revision is drawn anew in `DO UPDATE`, since the one in `VALUES` was drawn before the row was locked,
// perhaps before an older write that committed first.

pub(crate) struct ValueRow {
    pub(crate) value: Vec<u8>,
    pub(crate) revision: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) format: i32,
}

impl ValueRow {
    pub(crate) fn entry(self) -> Result<Entry> {
        let keep = self.expires_at.map_or(Keep::Forever, |at| Keep::Until(time(at)));
        let format = count("key_value.format", self.format.into())?;
        Ok(Entry { value: Zeroizing::new(self.value), revision: revision(self.revision)?, keep, format })
    }

    fn live(&self, now: Timestamp) -> bool {
        live(self.expires_at, now)
    }
}

fn live(expires_at: Option<i64>, now: Timestamp) -> bool {
    expires_at.is_none_or(|until| now < time(until))
}

fn revision(number: i64) -> Result<Revision> {
    count("key_value.revision", number).map(Revision)
}

#[async_trait]
impl KeyValue for Postgres {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let row = sqlx::query_as!(
            ValueRow,
            "SELECT value, revision, expires_at, format
             FROM key_value
             WHERE owner = $1 AND collection = $2 AND key = $3",
            at.owner.to_string(),
            at.collection.name,
            at.key,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.filter(|row| row.live(self.0.clock.now())).map(ValueRow::entry).transpose()
    }

    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        let put = sqlx::query_scalar!(
            "INSERT INTO key_value (owner, collection, key, value, revision, expires_at, format)
             VALUES ($1, $2, $3, $4, nextval('key_value_revision'), $5, $6)
             ON CONFLICT (owner, collection, key) DO UPDATE
             SET value = excluded.value, revision = nextval('key_value_revision'), expires_at = excluded.expires_at,
                 format = excluded.format
             RETURNING revision",
            at.owner.to_string(),
            at.collection.name,
            at.key,
            value,
            keep.until().map(Timestamp::millis),
            i32::from(at.collection.format),
        )
        .fetch_one(self.read())
        .await
        .map_err(failed)?;
        revision(put)
    }

    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        let inserted = sqlx::query_scalar!(
            "INSERT INTO key_value (owner, collection, key, value, revision, expires_at, format)
             VALUES ($1, $2, $3, $4, nextval('key_value_revision'), $5, $6)
             ON CONFLICT (owner, collection, key) DO UPDATE
             SET value = excluded.value, revision = nextval('key_value_revision'), expires_at = excluded.expires_at,
                 format = excluded.format
             WHERE key_value.expires_at <= $7
             RETURNING revision",
            at.owner.to_string(),
            at.collection.name,
            at.key,
            value,
            keep.until().map(Timestamp::millis),
            i32::from(at.collection.format),
            self.0.clock.now().millis(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        inserted.map(revision).transpose()
    }

    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let row = sqlx::query_as!(
            ValueRow,
            "DELETE FROM key_value
             WHERE owner = $1 AND collection = $2 AND key = $3
             RETURNING value, revision, expires_at, format",
            at.owner.to_string(),
            at.collection.name,
            at.key,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.filter(|row| row.live(self.0.clock.now())).map(ValueRow::entry).transpose()
    }

    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        // No row has a revision that the column cannot hold.
        let Ok(expected) = i64::try_from(expected.0) else { return Ok(None) };
        let replaced = sqlx::query_scalar!(
            "UPDATE key_value
             SET value = $4, revision = nextval('key_value_revision'), expires_at = $5, format = $6
             WHERE owner = $1 AND collection = $2 AND key = $3
               AND revision = $7 AND (expires_at IS NULL OR expires_at > $8)
             RETURNING revision",
            at.owner.to_string(),
            at.collection.name,
            at.key,
            value,
            keep.until().map(Timestamp::millis),
            i32::from(at.collection.format),
            expected,
            self.0.clock.now().millis(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        replaced.map(revision).transpose()
    }

    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        let deleted = sqlx::query_scalar!(
            "DELETE FROM key_value
             WHERE owner = $1 AND collection = $2 AND key = $3
             RETURNING expires_at",
            at.owner.to_string(),
            at.collection.name,
            at.key,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        Ok(deleted.is_some_and(|expires_at| live(expires_at, self.0.clock.now())))
    }
}
