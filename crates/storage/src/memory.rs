use std::sync::Arc;

use async_trait::async_trait;
use model::Clock;

use crate::{Entry, Keep, KeyValue, Place, Result, Revision};

/// A store that lives as long as the process.
#[derive(Debug)]
pub struct Memory {
    _clock: Arc<dyn Clock>,
}

impl Memory {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { _clock: clock }
    }
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, _at: Place<'_>) -> Result<Option<Entry>> {
        todo!("storage helper")
    }
    async fn put(&self, _at: Place<'_>, _value: &[u8], _keep: Keep) -> Result<Revision> {
        todo!("storage helper")
    }
    async fn insert(&self, _at: Place<'_>, _value: &[u8], _keep: Keep) -> Result<Option<Revision>> {
        todo!("storage helper")
    }
    async fn take(&self, _at: Place<'_>) -> Result<Option<Entry>> {
        todo!("storage helper")
    }
    async fn replace(&self, _at: Place<'_>, _expected: Revision, _v: &[u8], _k: Keep) -> Result<Option<Revision>> {
        todo!("storage helper")
    }
    async fn delete(&self, _at: Place<'_>) -> Result<bool> {
        todo!("storage helper")
    }
}
