//! A bounded memory of what was written to the log.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Mutex, PoisonError},
};

/// How many damaged values are remembered. One that was forgotten is logged once more.
const REMEMBERED: usize = 1024;

/// Tells the first time from later ones.
#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    marks: Mutex<(HashSet<u64>, VecDeque<u64>)>,
}

impl Seen {
    /// Whether this comes for the first time, as far as is remembered.
    pub(super) fn first(&self, what: impl Hash) -> bool {
        let mark = self.hasher.hash_one(what);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *marks;
        if !known.insert(mark) {
            return false;
        }
        order.push_back(mark);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_a_thousand_and_no_more() {
        let seen = Seen::default();
        assert!(seen.first(0) && !seen.first(0));
        for number in 1..=REMEMBERED {
            assert!(seen.first(number));
        }
        assert!(!seen.first(REMEMBERED), "the last one is remembered");
        assert!(seen.first(0), "the first one is not");
        assert_eq!(seen.marks.lock().unwrap().0.len(), REMEMBERED);
    }
}
