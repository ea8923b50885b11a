use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use model::{Clock, Timestamp};
use zeroize::Zeroizing;

use crate::{Cursor, Entry, Found, Keep, KeyValue, Maintenance, Owner, Place, Result, Revision, Scan, StorageError};

/// How many expired entries a write cleans up: more than it adds, so that the store shrinks while it is
/// written to, and few, so that no caller pays for the rest.
const CLEANED: usize = 4;

/// A store that lives as long as the process.
pub struct Memory {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

type Key = (Owner, Cow<'static, str>, String);

/// Invariant: `by_expiry` has exactly one entry for each entry with an expiry, under that expiry and its
/// revision.
#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    by_expiry: BTreeMap<(Timestamp, Revision), Key>,
    last: u64,
}

impl State {
    fn live(&self, key: &Key, now: Timestamp) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.keep.until().is_none_or(|until| now < until))
    }

    fn write(&mut self, key: Key, value: &[u8], keep: Keep, format: u8) -> Revision {
        self.remove(&key);
        self.last += 1;
        let revision = Revision(self.last);
        if let Some(until) = keep.until() {
            self.by_expiry.insert((until, revision), key.clone());
        }
        self.entries.insert(key, Entry { value: Zeroizing::new(value.to_vec()), revision, keep, format });
        revision
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        if let Some(until) = entry.keep.until() {
            self.by_expiry.remove(&(until, entry.revision));
        }
        Some(entry)
    }

    /// Removes up to `limit` of the entries that expired first.
    fn clean(&mut self, now: Timestamp, limit: usize) -> usize {
        let mut cleaned = 0;
        while cleaned < limit {
            let Some(first) = self.by_expiry.first_entry().filter(|first| first.key().0 <= now) else { break };
            let key = first.remove();
            self.entries.remove(&key);
            cleaned += 1;
        }
        cleaned
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// The state for a write at the returned moment, a little cleaner than before.
    fn cleaned(&self) -> (MutexGuard<'_, State>, Timestamp) {
        let (mut state, now) = (self.state(), self.clock.now());
        state.clean(now, CLEANED);
        (state, now)
    }
}

fn key(at: Place<'_>) -> Key {
    (at.owner, Cow::Borrowed(at.collection.name), at.key.to_owned())
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>> {
        Ok(self.state().live(&key(at), self.clock.now()).cloned())
    }

    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision> {
        Ok(self.cleaned().0.write(key(at), value, keep, at.collection.format))
    }

    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        let (mut state, now) = self.cleaned();
        let key = key(at);
        Ok(if state.live(&key, now).is_some() {
            None
        } else {
            Some(state.write(key, value, keep, at.collection.format))
        })
    }

    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>> {
        let (mut state, now) = self.cleaned();
        let key = key(at);
        Ok(if state.live(&key, now).is_some() { state.remove(&key) } else { None })
    }

    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>> {
        let (mut state, now) = self.cleaned();
        let key = key(at);
        let fits = state.live(&key, now).is_some_and(|entry| entry.revision == expected);
        Ok(fits.then(|| state.write(key, value, keep, at.collection.format)))
    }

    async fn delete(&self, at: Place<'_>) -> Result<bool> {
        Ok(self.take(at).await?.is_some())
    }
}

#[async_trait]
impl Maintenance for Memory {
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64> {
        Ok(self.state().clean(now, limit as usize) as u64)
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.state().entries.len() as u64)
    }

    async fn scan(&self, after: Option<&Cursor>, limit: u32) -> Result<Scan> {
        let after = after.map(Cursor::place).transpose()?;
        let after = match after {
            Some((owner, collection, key)) => {
                let owner = owner.parse().map_err(|_| StorageError::damaged("a cursor", "it names no owner"))?;
                Some((owner, Cow::Owned(collection.to_owned()), key.to_owned()))
            }
            None => None,
        };
        let state = self.state();
        let mut keys: Vec<&Key> =
            state.entries.keys().filter(|key| after.as_ref().is_none_or(|after| *key > after)).collect();
        keys.sort_unstable();
        keys.truncate(limit as usize);
        let found = keys.into_iter().map(|key| Found {
            owner: key.0,
            collection: key.1.clone().into_owned(),
            key: key.2.clone(),
            entry: state.entries[key].clone(),
        });
        Ok(Scan::full_page(found.collect(), limit))
    }

    async fn rewrite(&self, found: &Found, value: &[u8]) -> Result<bool> {
        let key = (found.owner, Cow::Owned(found.collection.clone()), found.key.clone());
        let mut state = self.state();
        let entry = state.entries.get_mut(&key).filter(|entry| entry.revision == found.entry.revision);
        Ok(entry.map(|entry| entry.value = Zeroizing::new(value.to_vec())).is_some())
    }
}

#[cfg(test)]
mod tests;
