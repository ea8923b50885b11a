use std::sync::Arc;

use async_trait::async_trait;

use crate::{Collection, Durability, Entry, Keep, KeyValue, Place, Result, Revision};

/// Two stores as one: each collection goes to the store of its [`Durability`].
#[derive(Clone, Debug)]
pub struct Split {
    durable: Arc<dyn KeyValue>,
    volatile: Arc<dyn KeyValue>,
}

impl Split {
    /// Durable collections go to `durable`, volatile ones to `volatile`.
    pub fn new(durable: Arc<dyn KeyValue>, volatile: Arc<dyn KeyValue>) -> Self {
        Self { durable, volatile }
    }

    fn of(&self, collection: Collection) -> &dyn KeyValue {
        match collection.durability {
            Durability::Durable => &*self.durable,
            Durability::Volatile => &*self.volatile,
        }
    }
}

#[async_trait]
impl KeyValue for Split {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        self.of(at.collection).get(at).await
    }

    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        self.of(at.collection).put(at, value, keep).await
    }

    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.of(at.collection).insert(at, value, keep).await
    }

    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        self.of(at.collection).take(at).await
    }

    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        self.of(at.collection).replace(at, expected, value, keep).await
    }

    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        self.of(at.collection).delete(at).await
    }
}
