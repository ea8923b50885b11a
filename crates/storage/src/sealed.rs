use std::sync::Arc;

use async_trait::async_trait;
use model::Timestamp;

use crate::{
    Collection, Cursor, Entry, Found, Keep, KeyValue, Maintenance, Place, Result, Revision, Scan, Sealer, StorageError,
};

/// Encrypts what it writes to `inner` and decrypts what it reads.
///
/// Invariant: a sealed value opens only at the place, and with the expiry and the format, that it was sealed
/// for; and a format that its collection does not read is refused by name.
#[derive(Debug)]
pub struct Sealed<K> {
    inner: K,
    sealer: Arc<Sealer>,
}

impl<K> Sealed<K> {
    /// Seals everything that passes to `inner`.
    pub fn new(inner: K, sealer: Arc<Sealer>) -> Self {
        Self { inner, sealer }
    }

    async fn seal(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Vec<u8>> {
        let (format, keep) = ([at.collection.format], keep_bytes(keep));
        self.sealer.seal_parts(at.owner, &value_parts(at.collection.name, at.key, &format, &keep), value).await
    }

    async fn open(&self, at: Place<'_>, found: Option<Entry>) -> Result<Option<Entry>> {
        let Some(entry) = found else { return Ok(None) };
        let (format, kept) = ([entry.format], keep_bytes(entry.keep));
        let Collection { name, format: known, reads, .. } = at.collection;
        // Opened first: what a stored format says is believed only when it is the one that was sealed.
        let parts = value_parts(name, at.key, &format, &kept);
        let value = self.sealer.open_parts(at.owner, &parts, &entry.value, || name.to_owned()).await?;
        if entry.format != known && !reads.contains(&entry.format) {
            return Err(StorageError::Format { collection: name.to_owned(), found: entry.format, known });
        }
        Ok(Some(Entry { value, ..entry }))
    }
}

/// What a value is bound to besides its owner.
pub(crate) fn value_parts<'a>(name: &'a str, key: &'a str, format: &'a [u8], keep: &'a [u8]) -> [&'a [u8]; 5] {
    [b"key-value", name.as_bytes(), format, key.as_bytes(), keep]
}

/// One text per [`Keep`]: nothing for ever, else the moment.
pub(crate) fn keep_bytes(keep: Keep) -> Vec<u8> {
    keep.until().map(|at| at.millis().to_be_bytes().to_vec()).unwrap_or_default()
}

#[async_trait]
impl<K: KeyValue> KeyValue for Sealed<K> {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        self.open(at, self.inner.get(at).await?).await
    }

    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        self.inner.put(at, &self.seal(at, value, keep).await?, keep).await
    }

    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.inner.insert(at, &self.seal(at, value, keep).await?, keep).await
    }

    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        self.open(at, self.inner.take(at).await?).await
    }

    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.inner.replace(at, expected, &self.seal(at, value, keep).await?, keep).await
    }

    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        self.inner.delete(at).await
    }
}

#[async_trait]
impl<K: Maintenance> Maintenance for Sealed<K> {
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.inner.purge(now, limit).await
    }

    async fn count(&self) -> Result<u64> {
        self.inner.count().await
    }

    async fn scan(&self, after: Option<&Cursor>, limit: u32) -> Result<Scan> {
        self.inner.scan(after, limit).await
    }

    async fn rewrite(&self, found: &Found, value: &[u8]) -> Result<bool> {
        self.inner.rewrite(found, value).await
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
