use std::sync::Arc;

use async_trait::async_trait;
use model::Timestamp;

use crate::{Entry, Keep, KeyValue, Maintenance, Place, Result, Revision, Sealer};

/// Encrypts what it writes to `inner` and decrypts what it reads.
///
/// Invariant: a sealed value opens only at the place, and with the expiry, that it was sealed for.
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
        self.sealer.seal_parts(at.owner, &parts(&at, &format, &keep), value).await
    }

    async fn open(&self, at: Place<'_>, found: Option<Entry>) -> Result<Option<Entry>> {
        let Some(Entry { value, revision, keep }) = found else { return Ok(None) };
        let (format, kept) = ([at.collection.format], keep_bytes(keep));
        let place = || at.collection.name.to_owned();
        let value = self.sealer.open_parts(at.owner, &parts(&at, &format, &kept), &value, place).await?;
        Ok(Some(Entry { value, revision, keep }))
    }
}

fn parts<'a>(at: &Place<'a>, format: &'a [u8], keep: &'a [u8]) -> [&'a [u8]; 5] {
    [b"key-value", at.collection.name.as_bytes(), format, at.key.as_bytes(), keep]
}

/// One text per [`Keep`]: nothing for ever, else the moment.
fn keep_bytes(keep: Keep) -> Vec<u8> {
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
}

#[cfg(test)]
mod tests;
