use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use model::{Clock, Entropy, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::{Collection, Durability, Keep, Kept, KeyValue, Keys, Lifetime, Owner, StorageError, Stored, Values};
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use crate::Auth;

/// How long the cookie of a browser that has not signed in lives.
pub(super) const VISIT: Duration = Duration::from_mins(30);
/// How much of its idle time (but at most a quarter) a session must have used up before a request renews
/// it, so that reading pages is not a write each.
const RENEW_AFTER: Duration = Duration::from_mins(5);
/// How often a write is tried again when another one came between.
const TRIES: usize = 4;

/// The sessions of people.
pub const SESSIONS: Collection = Collection { name: "session", durability: Durability::Durable, format: 1, reads: &[] };

/// Sessions in our key-value store.
///
/// Differs from the stores that `tower-sessions` has: the key is a hash of the id, ids come from our
/// entropy, expiry is by our clock, and saving never brings back what a sign-out has deleted.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    sessions: Values<Session>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// How long a session lives without being used.
    idle: Duration,
    /// How long a session lives at most.
    longest: Duration,
}

/// A record as it is stored. The id and the expiry of `tower-sessions` are not.
#[derive(Serialize, Deserialize)]
struct Session {
    created_at: Timestamp,
    data: Vec<(String, Value)>,
}

impl Stored for Session {
    const COLLECTION: Collection = SESSIONS;
    const KEYS: Keys = Keys::Secret;
}

impl Session {
    fn of(created_at: Timestamp, record: &Record) -> Self {
        let data = record.data.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { created_at, data }
    }
}

impl Store {
    pub(super) fn new(auth: &Auth) -> Self {
        let lifetimes = auth.config.lifetimes;
        Self::of(&auth.kv, &auth.clock, &auth.entropy, lifetimes.session_idle, lifetimes.session)
    }

    fn of(
        kv: &Arc<dyn KeyValue>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        idle: Duration,
        longest: Duration,
    ) -> Self {
        let until =
            move |session: &Session, now: Timestamp| Keep::Until((now + idle).min(session.created_at + longest));
        let sessions = Values::new(kv, clock, Owner::Platform, Lifetime::each(until));
        Self { sessions, clock: Arc::clone(clock), entropy: Arc::clone(entropy), idle, longest }
    }

    /// One that is damaged is none: its browser signs in again.
    async fn read(&self, id: &str) -> std::result::Result<Option<Kept<Session>>, StorageError> {
        match self.sessions.get(id).await {
            Err(StorageError::Damaged { logged: true, .. }) => Ok(None),
            Err(error @ StorageError::Damaged { .. }) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a session is damaged");
                Ok(None)
            }
            read => read,
        }
    }

    /// Lets a session that is being used live on, if enough of its idle time has passed.
    pub(super) async fn renew(&self, id: &Id) -> std::result::Result<(), StorageError> {
        let id = id.to_string();
        let Some(Kept { value, revision, keep }) = self.read(&id).await? else { return Ok(()) };
        let gained = match (self.sessions.keep(&value).until(), keep.until()) {
            (Some(new), Some(old)) => new.since(old),
            _ => Duration::ZERO,
        };
        if gained >= RENEW_AFTER.min(self.idle / 4) {
            // Whoever came between has renewed it too, or ended it: nothing is lost by losing here, nor by
            // trying again with the next request.
            if let Err(error) = self.sessions.replace(&id, revision, &value).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a session cannot be renewed");
            }
        }
        Ok(())
    }

    async fn overwrite(&self, record: &Record) -> Result<()> {
        let id = record.id.to_string();
        for _ in 0..TRIES {
            let Some(found) = self.read(&id).await.map_err(failed)? else { return Ok(()) };
            let session = Session::of(found.value.created_at, record);
            if self.sessions.replace(&id, found.revision, &session).await.map_err(failed)?.is_some() {
                return Ok(());
            }
        }
        Err(Error::Backend("a session was written by too many at once".to_owned()))
    }
}

/// `Backend` is worth trying again, `Decode` is not.
fn failed(error: StorageError) -> Error {
    match error {
        StorageError::Unavailable(ref source) => Error::Backend(format!("{error}: {source}")),
        error => Error::Decode(error.to_string()),
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let session = Session::of(self.clock.now(), record);
        for _ in 0..TRIES {
            let mut id = [0; 16];
            self.entropy.fill(&mut id);
            record.id = Id(i128::from_le_bytes(id));
            if self.sessions.insert(&record.id.to_string(), &session).await.map_err(failed)?.is_some() {
                return Ok(());
            }
        }
        Err(Error::Backend("every new session id was taken".to_owned()))
    }

    /// Writes a record only over itself. One that is gone stays gone: a request that began before a
    /// sign-out must not undo it.
    ///
    /// The layer calls this once more after a sign-in has [created](Self::create) the very same record, and
    /// would turn a failure into an empty 500. So a store that went away in between is only logged.
    async fn save(&self, record: &Record) -> Result<()> {
        match self.overwrite(record).await {
            Err(Error::Backend(reason)) => {
                tracing::warn!(reason, "a session that was just made was not written again");
                Ok(())
            }
            other => other,
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some(found) = self.read(&id.to_string()).await.map_err(failed)? else { return Ok(None) };
        let expires = found.value.created_at + self.longest;
        let expiry_date = OffsetDateTime::from_unix_timestamp(expires.seconds())
            .map_err(|_| Error::Decode("the session's age is out of range".to_owned()))?;
        Ok(Some(Record { id: *id, data: found.value.data.into_iter().collect(), expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.sessions.delete(&id.to_string()).await.map_err(failed).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use model::{ManualClock, SeededEntropy};
    use storage::{Memory, Place};

    use super::*;
    use crate::session::hash_hex;

    const IDLE: Duration = Duration::from_hours(12);
    const LONGEST: Duration = Duration::from_hours(7 * 24);

    struct Bench {
        clock: Arc<ManualClock>,
        kv: Arc<Memory>,
        store: Store,
    }

    fn store_of(kv: &Arc<Memory>, clock: &Arc<ManualClock>) -> Store {
        let (kv, clock) = (Arc::clone(kv) as Arc<dyn KeyValue>, Arc::clone(clock) as Arc<dyn Clock>);
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(5));
        Store::of(&kv, &clock, &entropy, IDLE, LONGEST)
    }

    fn bench() -> Bench {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let kv = Arc::new(Memory::new(clock.clone()));
        let store = store_of(&kv, &clock);
        Bench { clock, kv, store }
    }

    fn record(value: i32) -> Record {
        let data = [("n".to_owned(), Value::from(value))].into_iter().collect();
        Record { id: Id(0), data, expiry_date: OffsetDateTime::UNIX_EPOCH }
    }

    #[tokio::test]
    async fn a_damaged_session_is_none() {
        let Bench { kv, store, .. } = bench();
        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        let key = hash_hex(&made.id.to_string());
        let place = Place { owner: Owner::Platform, collection: Session::COLLECTION, key: &key };
        kv.put(place, b"no session", Keep::Forever).await.unwrap();
        assert!(store.load(&made.id).await.unwrap().is_none());
        store.renew(&made.id).await.unwrap();
        store.save(&made).await.unwrap();
        store.delete(&made.id).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_deleted_is_not_saved_again() {
        let Bench { store, .. } = bench();
        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        assert_eq!(store.load(&made.id).await.unwrap().unwrap().data, made.data);
        store.delete(&made.id).await.unwrap();
        store.save(&made).await.unwrap();
        assert!(store.load(&made.id).await.unwrap().is_none(), "saving resurrected a session");
        store.renew(&made.id).await.unwrap();
        assert!(store.load(&made.id).await.unwrap().is_none(), "renewing resurrected a session");
    }

    #[tokio::test]
    async fn creating_never_overwrites() {
        let Bench { clock, kv, store } = bench();
        let mut first = record(1);
        store.create(&mut first).await.unwrap();
        // The same entropy again: the first id that it gives is taken.
        let twin = store_of(&kv, &clock);
        let mut second = record(2);
        twin.create(&mut second).await.unwrap();
        assert_ne!(first.id, second.id);
        assert_eq!(store.load(&first.id).await.unwrap().unwrap().data, first.data);
    }

    #[tokio::test]
    async fn the_id_is_not_in_the_key() {
        let Bench { kv, store, .. } = bench();
        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        let id = made.id.to_string();
        let place = |key| Place { owner: Owner::Platform, collection: Session::COLLECTION, key };
        assert!(kv.get(place(&id)).await.unwrap().is_none());
        let entry = kv.get(place(&hash_hex(&id))).await.unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&entry.value).contains(&id));
    }

    #[tokio::test]
    async fn sessions_end_when_idle_and_when_old() {
        let Bench { clock, store, .. } = bench();
        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        clock.advance(IDLE.saturating_sub(Duration::from_secs(1)));
        assert!(store.load(&made.id).await.unwrap().is_some());
        clock.advance(Duration::from_secs(1));
        assert!(store.load(&made.id).await.unwrap().is_none(), "idle");

        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        for _ in 0..14 {
            clock.advance(IDLE.saturating_sub(Duration::from_secs(1)));
            store.renew(&made.id).await.unwrap();
        }
        assert!(store.load(&made.id).await.unwrap().is_some(), "used all the time");
        clock.advance(Duration::from_mins(1));
        store.renew(&made.id).await.unwrap();
        assert!(store.load(&made.id).await.unwrap().is_none(), "older than the longest life");
    }

    #[tokio::test]
    async fn reading_pages_is_not_a_write_each() {
        let Bench { clock, store, .. } = bench();
        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        let id = made.id.to_string();
        let revision = async || store.sessions.get(&id).await.unwrap().unwrap().revision;
        let first = revision().await;
        clock.advance(RENEW_AFTER.saturating_sub(Duration::from_secs(1)));
        store.renew(&made.id).await.unwrap();
        assert_eq!(revision().await, first);
        clock.advance(Duration::from_secs(1));
        store.renew(&made.id).await.unwrap();
        assert!(revision().await > first);
    }

    #[tokio::test]
    async fn the_last_of_two_writers_stays() {
        let Bench { store, .. } = bench();
        let mut made = record(1);
        store.create(&mut made).await.unwrap();
        let (left, right) = (Record { data: record(2).data, ..made.clone() }, Record { data: record(3).data, ..made });
        let (a, b) = tokio::join!(store.save(&left), store.save(&right));
        a.and(b).unwrap();
        let data = store.load(&left.id).await.unwrap().unwrap().data;
        assert!(data == left.data || data == right.data);
    }
}
