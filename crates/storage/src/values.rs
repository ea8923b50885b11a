//! Typed collections: what a value means, where it lives, how long, and in which format it is written.

use std::{fmt, io, marker::PhantomData, sync::Arc, time::Duration};

use model::{Clock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Collection, Entry, Keep, KeyValue, Owner, Place, Result, Revision, StorageError, archive::hex};

/// A type whose values are kept as JSON, in a collection of its own. Nothing else writes to that collection,
/// so a value of one type is never read as another.
pub trait Stored: Serialize + DeserializeOwned + Send + Sync {
    /// Its collection: the name, whether it may be lost, the format that is written and older ones that
    /// [`upgrade`](Self::upgrade) reads.
    const COLLECTION: Collection;

    /// What its keys are.
    const KEYS: Keys;

    /// Reads a value of one of the older formats that the collection lists. `None`: it is damaged.
    fn upgrade(format: u8, old: &[u8]) -> Option<Self> {
        let _ = (format, old);
        None
    }
}

/// What the keys of a collection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Secrets of 256 bits of randomness or so (session ids, states): the store has them as SHA-256 in
    /// hexadecimal, and whoever reads the store cannot present them.
    Secret,
    /// Names that anybody may know.
    Plain,
}

impl Keys {
    fn stored(self, key: &str) -> String {
        match self {
            Self::Secret => hex(&Sha256::digest(key)),
            Self::Plain => key.to_owned(),
        }
    }
}

/// How long values of a collection live, from each write.
pub enum Lifetime<T> {
    /// Until they are deleted.
    Forever,
    /// So long.
    For(Duration),
    /// As the value says; the moment is the one of the write.
    Each(Decide<T>),
}

/// Says how long to keep a value that is written at a moment.
pub type Decide<T> = Arc<dyn Fn(&T, Timestamp) -> Keep + Send + Sync>;

impl<T> Lifetime<T> {
    /// A lifetime that the value decides over.
    pub fn each(keep: impl Fn(&T, Timestamp) -> Keep + Send + Sync + 'static) -> Self {
        Self::Each(Arc::new(keep))
    }
}

impl<T> Clone for Lifetime<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Forever => Self::Forever,
            Self::For(life) => Self::For(*life),
            Self::Each(keep) => Self::Each(Arc::clone(keep)),
        }
    }
}

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Kept<T> {
    /// The value, in the newest format.
    pub value: T,
    /// Which write it is.
    pub revision: Revision,
    /// How long it lives.
    pub keep: Keep,
}

/// An owner's values of one type. The verbs are those of [`KeyValue`], with the same winners. Cheap to clone.
///
/// Invariants:
/// - A value is written in the newest format only. An older one is read if the collection lists it, and
///   is [`StorageError::Format`] if not, as is a newer one; no value is read as of another format.
/// - The JSON is in memory in one place, which is wiped.
pub struct Values<T> {
    kv: Arc<dyn KeyValue>,
    clock: Arc<dyn Clock>,
    owner: Owner,
    lifetime: Lifetime<T>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Values<T> {
    fn clone(&self) -> Self {
        let (kv, clock) = (Arc::clone(&self.kv), Arc::clone(&self.clock));
        Self { kv, clock, owner: self.owner, lifetime: self.lifetime.clone(), of: PhantomData }
    }
}

impl<T: Stored> fmt::Debug for Values<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({}/{})", self.owner, T::COLLECTION.name)
    }
}

impl<T: Stored> Values<T> {
    /// The values of `owner` in `kv`.
    pub fn new(kv: &Arc<dyn KeyValue>, clock: &Arc<dyn Clock>, owner: Owner, lifetime: Lifetime<T>) -> Self {
        Self { kv: Arc::clone(kv), clock: Arc::clone(clock), owner, lifetime, of: PhantomData }
    }

    /// How long a value that is written now would live.
    pub fn keep(&self, value: &T) -> Keep {
        let now = self.clock.now();
        match &self.lifetime {
            Lifetime::Forever => Keep::Forever,
            Lifetime::For(life) => Keep::Until(now + *life),
            Lifetime::Each(keep) => keep(value, now),
        }
    }

    /// Reads a value.
    pub async fn get(&self, key: &str) -> Result<Option<Kept<T>>> {
        self.kv.get(self.place(&T::KEYS.stored(key))).await?.as_ref().map(found).transpose()
    }

    /// Writes a value, whatever was there. The last of several callers stays.
    pub async fn put(&self, key: &str, value: &T) -> Result<Revision> {
        self.kv.put(self.place(&T::KEYS.stored(key)), &encode(value)?, self.keep(value)).await
    }

    /// Writes a value if none is there. Of several callers, exactly one gets `Some`.
    pub async fn insert(&self, key: &str, value: &T) -> Result<Option<Revision>> {
        self.kv.insert(self.place(&T::KEYS.stored(key)), &encode(value)?, self.keep(value)).await
    }

    /// Removes a value and returns it. Of several callers, exactly one gets it.
    pub async fn take(&self, key: &str) -> Result<Option<Kept<T>>> {
        self.kv.take(self.place(&T::KEYS.stored(key))).await?.as_ref().map(found).transpose()
    }

    /// Writes a value if the one there is of revision `expected`. Of several callers with the same
    /// revision, exactly one gets `Some`.
    pub async fn replace(&self, key: &str, expected: Revision, value: &T) -> Result<Option<Revision>> {
        let key = T::KEYS.stored(key);
        self.kv.replace(self.place(&key), expected, &encode(value)?, self.keep(value)).await
    }

    /// Removes a value. `true` if one was there.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        self.kv.delete(self.place(&T::KEYS.stored(key))).await
    }

    fn place<'a>(&self, key: &'a str) -> Place<'a> {
        Place { owner: self.owner, collection: T::COLLECTION, key }
    }
}

fn found<T: Stored>(entry: &Entry) -> Result<Kept<T>> {
    let Collection { name, format, reads, .. } = T::COLLECTION;
    let value = match entry.format {
        current if current == format => serde_json::from_slice(&entry.value).ok(),
        older if reads.contains(&older) => T::upgrade(older, &entry.value),
        other => return Err(StorageError::Format { collection: name.to_owned(), found: other, known: format }),
    };
    let value = value.ok_or_else(|| StorageError::damaged(name, "it does not parse"))?;
    Ok(Kept { value, revision: entry.revision, keep: entry.keep })
}

/// The JSON of a value. Its length is counted first: a buffer that grows leaves unwiped copies behind.
fn encode<T: Stored>(value: &T) -> Result<Zeroizing<Vec<u8>>> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).map_err(StorageError::unavailable)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *json, value).map_err(StorageError::unavailable)?;
    debug_assert_eq!(json.len(), length.0, "the same value has the same JSON");
    Ok(json)
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
