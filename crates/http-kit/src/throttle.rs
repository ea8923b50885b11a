use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use model::{Clock, Timestamp};

/// How many keys are remembered; beyond it, the ones that are nearest to being whole again are forgotten.
const MOST_KEYS: usize = 50_000;

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// How many at once.
    pub burst: u32,
    /// How long until one more.
    pub every: Duration,
}

/// Counts attempts by key, in this process: a bucket per key that starts with `burst` tokens and gains one
/// every `every`.
pub struct Throttle {
    limit: Limit,
    clock: Arc<dyn Clock>,
    /// By key, when the bucket is full again. Absent means full: nothing else need be stored.
    full_at: Mutex<HashMap<Box<str>, Timestamp>>,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Throttle {
    /// Nobody has tried anything yet.
    pub fn new(limit: Limit, clock: Arc<dyn Clock>) -> Self {
        Self { limit, clock, full_at: Mutex::default() }
    }

    /// Takes a token, or says how long until there is one.
    pub fn take(&self, key: &str) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut full_at = self.full_at.lock().expect("no holder panics");
        let full = full_at.get(key).copied().unwrap_or(now).max(now) + self.limit.every;
        // The bucket holds a token as long as it needs no longer than `burst` periods to be full.
        let over = full.since(now).saturating_sub(self.limit.every * self.limit.burst);
        if !over.is_zero() {
            return Err(over);
        }
        full_at.insert(key.into(), full);
        if full_at.len() > MOST_KEYS {
            forget(&mut full_at, now);
        }
        Ok(())
    }

    /// Returns a token that was taken for something that turned out to be fine.
    pub fn give_back(&self, key: &str) {
        let mut full_at = self.full_at.lock().expect("no holder panics");
        if let Some(full) = full_at.get_mut(key) {
            *full = *full - self.limit.every;
        }
    }
}

/// Drops the keys that are whole, then, if that is not enough, the half that is nearest to it.
fn forget(full_at: &mut HashMap<Box<str>, Timestamp>, now: Timestamp) {
    full_at.retain(|_, full| *full > now);
    if full_at.len() > MOST_KEYS / 2 {
        let mut times: Vec<_> = full_at.values().copied().collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        full_at.retain(|_, full| *full > median);
    }
}

#[cfg(test)]
mod tests {
    use model::ManualClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn throttle(burst: u32) -> (Arc<ManualClock>, Throttle) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        (clock.clone(), Throttle::new(Limit { burst, every: SECOND * 10 }, clock))
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let (clock, throttle) = throttle(2);
        assert_eq!(throttle.take("a"), Ok(()));
        assert_eq!(throttle.take("a"), Ok(()));
        assert_eq!(throttle.take("a"), Err(SECOND * 10));
        assert_eq!(throttle.take("b"), Ok(()), "keys are apart");
        clock.advance(SECOND * 4);
        assert_eq!(throttle.take("a"), Err(SECOND * 6), "refused attempts cost nothing");
        clock.advance(SECOND * 6);
        assert_eq!(throttle.take("a"), Ok(()));
        assert_eq!(throttle.take("a"), Err(SECOND * 10));
        throttle.give_back("a");
        assert_eq!(throttle.take("a"), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let (_, throttle) = throttle(2);
        throttle.take("first").unwrap();
        throttle.take("first").unwrap();
        for key in 0..MOST_KEYS + 10 {
            throttle.take(&key.to_string()).unwrap();
        }
        assert!(throttle.full_at.lock().unwrap().len() <= MOST_KEYS);
        assert!(throttle.take("first").is_err(), "the emptiest buckets are kept");
    }
}
