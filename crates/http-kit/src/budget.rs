//! Limits that all replicas share.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex},
    time::Duration,
};

use model::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use storage::{Collection, Durability, Keep, KeyValue, Keys, Lifetime, Owner, StorageError, Stored, Values};

use crate::{Limit, Problem, Throttle};

/// The buckets of all budgets: kept until they are full again.
pub const BUDGETS: Collection = Collection { name: "budget", durability: Durability::Volatile, format: 1, reads: &[] };

/// How many new buckets a process may make in the store: at once, and then in a second. Beyond it, callers that
/// are new are counted in the process only, so that many addresses do not fill the store.
const NEW_BUCKETS: Limit = Limit { burst: 10_000, every: Duration::from_millis(10) };
/// How many callers of one process ask the store at the same time. Two of one key never do.
const TURNS: usize = 64;
/// How often a bucket is tried again that another replica was faster at.
const TRIES: u32 = 16;
/// Whom it never worked out for waits this long.
const CONTENDED: Duration = Duration::from_secs(1);
/// For how many keys tokens are held in advance.
const MOST_RESERVES: usize = 50_000;

/// What happens while the shared count cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAway {
    /// The process counts alone: for what must go on, and is bounded by something else.
    CountAlone,
    /// Nobody gets anything: for what cannot go on without the store anyway.
    Refuse,
}

/// Why nothing is left.
#[derive(Debug)]
pub enum Spent {
    /// It was used up; after so long there is some again.
    Wait(Duration),
    /// Nobody can tell: the store failed.
    Away(StorageError),
}

/// 429 with `Retry-After`, or 503.
impl From<Spent> for Problem {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Wait(wait) => Self::too_many(wait),
            Spent::Away(error) => error.into(),
        }
    }
}

/// A bucket: when it is full again. An absent one is full.
#[derive(Serialize, Deserialize)]
struct Bucket {
    full_at: Timestamp,
}

impl Stored for Bucket {
    const COLLECTION: Collection = BUDGETS;
    /// Addresses and names of clients are nobody's to read in a cache; hashed, they also have one length.
    const KEYS: Keys = Keys::Secret;
}

/// Tokens of a bucket that this process took in advance.
struct Reserve {
    tokens: u32,
    /// From then on the bucket has filled up again without them.
    until: Timestamp,
}

/// Counts attempts by key, in all replicas together: a bucket per key that starts with `burst` tokens and gains
/// one every `every`, as [`Throttle`] has for one process. That one is asked first, so that a flood that reaches
/// one replica does not reach the store.
///
/// Of large buckets a process takes a twentieth at a time. So a key never gets more than its limit; it gets
/// less when it moves among replicas, by what they hold of it in advance.
pub struct Budget {
    name: &'static str,
    limit: Limit,
    when_away: WhenAway,
    clock: Arc<dyn Clock>,
    local: Throttle,
    new_buckets: Throttle,
    buckets: Values<Bucket>,
    reserves: Mutex<HashMap<Box<str>, Reserve>>,
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: RandomState,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Budget {
    /// The budget of this name, unspent as far as the store knows. Budgets of the same name are one, in all
    /// replicas.
    pub fn new(
        name: &'static str,
        limit: Limit,
        when_away: WhenAway,
        kv: &Arc<dyn KeyValue>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let until_full = Lifetime::each(|bucket: &Bucket, _| Keep::Until(bucket.full_at));
        Self {
            name,
            limit,
            when_away,
            clock: Arc::clone(clock),
            local: Throttle::new(limit, Arc::clone(clock)),
            new_buckets: Throttle::new(NEW_BUCKETS, Arc::clone(clock)),
            buckets: Values::new(kv, clock, Owner::Platform, until_full),
            reserves: Mutex::default(),
            turns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Takes a token, or says why there is none.
    pub async fn take(&self, key: &str) -> Result<(), Spent> {
        self.local.take(key).map_err(Spent::Wait)?;
        if self.reserved(key) {
            return Ok(());
        }
        let turn = usize::try_from(self.hasher.hash_one(key) % TURNS as u64).expect("there are few turns");
        let _turn = self.turns[turn].lock().await;
        // Whoever had the turn before may have brought enough.
        if self.reserved(key) {
            return Ok(());
        }
        let spent = match self.fetch(key).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(wait)) => Spent::Wait(wait),
            Err(error) if self.when_away == WhenAway::CountAlone => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(budget = self.name, error, "counting alone: the store is away");
                return Ok(());
            }
            Err(error) => Spent::Away(error),
        };
        self.local.give_back(key);
        Err(spent)
    }

    /// Returns a token that was taken for something that turned out to be fine.
    pub fn give_back(&self, key: &str) {
        self.local.give_back(key);
        self.keep(key, 1);
    }

    /// How many tokens are taken at a time.
    fn batch(&self) -> u32 {
        (self.limit.burst / 20).max(1)
    }

    /// Takes tokens from the shared bucket, one for now; or how long until there is one.
    async fn fetch(&self, key: &str) -> Result<Result<(), Duration>, StorageError> {
        let name = format!("{} {key}", self.name);
        for _ in 0..TRIES {
            let (now, found) = (self.clock.now(), self.buckets.get(&name).await?);
            let full_at = found.as_ref().map_or(now, |found| found.value.full_at.max(now));
            let most = self.limit.every * self.limit.burst;
            let after = |tokens: u32| full_at + self.limit.every * tokens;
            let tokens = if after(self.batch()).since(now) <= most { self.batch() } else { 1 };
            let over = after(tokens).since(now).saturating_sub(most);
            if !over.is_zero() {
                return Ok(Err(over));
            }
            if found.is_none() && self.new_buckets.take("").is_err() {
                return Ok(Ok(()));
            }
            let bucket = Bucket { full_at: after(tokens) };
            let won = match found {
                Some(found) => self.buckets.replace(&name, found.revision, &bucket).await?,
                None => self.buckets.insert(&name, &bucket).await?,
            };
            if won.is_some() {
                self.keep(key, tokens - 1);
                return Ok(Ok(()));
            }
        }
        Ok(Err(CONTENDED))
    }

    /// Uses a token that this process holds.
    fn reserved(&self, key: &str) -> bool {
        let now = self.clock.now();
        let mut reserves = self.reserves.lock().expect("no holder panics");
        let Some(reserve) = reserves.get_mut(key) else { return false };
        if reserve.tokens == 0 || reserve.until <= now {
            reserves.remove(key);
            return false;
        }
        reserve.tokens -= 1;
        true
    }

    fn keep(&self, key: &str, tokens: u32) {
        if tokens == 0 {
            return;
        }
        let now = self.clock.now();
        let mut reserves = self.reserves.lock().expect("no holder panics");
        if reserves.len() >= MOST_RESERVES {
            // Lost tokens cost their key a question to the store.
            reserves.retain(|_, reserve| reserve.until > now);
            if reserves.len() >= MOST_RESERVES {
                reserves.clear();
            }
        }
        let held = reserves.get(key).filter(|held| held.until > now).map_or(0, |held| held.tokens);
        let tokens = (held + tokens).min(self.limit.burst);
        reserves.insert(key.into(), Reserve { tokens, until: now + self.limit.every * tokens });
    }
}

#[cfg(test)]
mod tests;
