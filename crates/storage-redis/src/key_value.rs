use std::time::Duration;

use async_trait::async_trait;
use fred::{interfaces::KeysInterface as _, types::Value};
use model::Timestamp;
use storage::{Entry, Keep, KeyValue, Place, Result, Revision, StorageError};

use crate::{Redis, entry, script::Script};

/// How much longer than its value an entry stays. What has expired is absent by our clock; this one is
/// Redis', and replicas' clocks differ.
const SLACK: Duration = Duration::from_mins(10);
/// Redis refuses moments that are too far away.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 100);

static WRITE: Script = Script::new(include_str!("scripts/write.lua"));

/// On what a write depends.
#[derive(Clone, Copy)]
enum Verb {
    Put,
    Insert,
    Replace(Revision),
}

impl Redis {
    async fn write(&self, verb: Verb, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        let now = self.0.clock.now();
        let (name, expected) = match verb {
            Verb::Put => ("put", Vec::new()),
            Verb::Insert => ("insert", Vec::new()),
            Verb::Replace(Revision(revision)) => ("replace", revision.to_be_bytes().to_vec()),
        };
        let arguments: Vec<Value> = vec![
            name.into(),
            now.millis().into(),
            bytes(&expected),
            bytes(&entry::before_revision(at.collection.format)),
            bytes(&[self.0.count()]),
            bytes(&entry::after_revision(keep, value)),
            clean_up(keep, now),
        ];
        let key = self.0.keys.value(at);
        let revision: Option<Vec<u8>> =
            self.0.pool.run(async |line| WRITE.run(line, key.as_str(), arguments.clone()).await).await?;
        let Some(revision) = revision else { return Ok(None) };
        let revision = <[u8; 8]>::try_from(revision)
            .map_err(|_| StorageError::damaged(at.collection.name, "its revision is no number"))?;
        Ok(Some(Revision(u64::from_be_bytes(revision))))
    }

    fn live(&self, at: Place<'_>, found: Option<Vec<u8>>) -> Result<Option<Entry>> {
        let now = self.0.clock.now();
        let entry = found.map(|bytes| entry::parse(&bytes, at.collection.name)).transpose()?;
        Ok(entry.filter(|entry| entry::live(entry, now)))
    }
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec().into())
}

/// After how many milliseconds Redis may forget an entry.
fn clean_up(keep: Keep, now: Timestamp) -> Value {
    keep.until().map_or("".into(), |until| {
        let after = (until.since(now) + SLACK).min(LONGEST);
        i64::try_from(after.as_millis()).expect("a hundred years of milliseconds fit").into()
    })
}

#[async_trait]
impl KeyValue for Redis {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let key = self.0.keys.value(at);
        let found = self.0.pool.run(async |line| line.get(key.as_str()).await).await?;
        self.live(at, found)
    }

    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        let revision = self.write(Verb::Put, at, value, keep).await?;
        revision.ok_or(StorageError::damaged(at.collection.name, "a write that is always done was not"))
    }

    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.write(Verb::Insert, at, value, keep).await
    }

    /// An expired value goes as well: it is as if it were not there, for everybody.
    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let key = self.0.keys.value(at);
        let found = self.0.pool.run(async |line| line.getdel(key.as_str()).await).await?;
        self.live(at, found)
    }

    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.write(Verb::Replace(expected), at, value, keep).await
    }

    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        Ok(self.take(at).await?.is_some())
    }
}
