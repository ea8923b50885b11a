//! The bounded memory of owners' rings.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::ring::Ring;
use crate::Owner;

/// How many owners' keys are kept in memory.
pub(super) const KEPT: usize = 1024;

/// The rings used last. When it is full, the half that was used longest ago goes at once, so that the
/// look through all of them is paid for by many additions.
#[derive(Default)]
pub(super) struct Rings {
    kept: Mutex<HashMap<Owner, (Arc<Ring>, u64)>>,
    uses: AtomicU64,
    era: AtomicU64,
}

impl Rings {
    pub(super) fn get(&self, owner: Owner) -> Option<Arc<Ring>> {
        let mut kept = self.kept.lock().expect("no holder panics");
        let (ring, used) = kept.get_mut(&owner)?;
        *used = self.uses.fetch_add(1, Ordering::Relaxed);
        Some(ring.clone())
    }

    /// Changes whenever something is forgotten.
    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Keeps a ring that was loaded in `era`: not if anything was forgotten since, because then the
    /// loaded keys may be the ones to forget.
    pub(super) fn keep(&self, owner: Owner, ring: &Arc<Ring>, era: u64) {
        let mut kept = self.kept.lock().expect("no holder panics");
        if self.era() != era {
            return;
        }
        if kept.len() >= KEPT {
            let mut uses: Vec<u64> = kept.values().map(|(_, used)| *used).collect();
            let (_, median, _) = uses.select_nth_unstable(KEPT / 2);
            let median = *median;
            // Platform keys are in use all the time, so they are never among the older half for long.
            kept.retain(|_, (_, used)| *used >= median);
        }
        kept.insert(owner, (ring.clone(), self.uses.fetch_add(1, Ordering::Relaxed)));
    }

    pub(super) fn forget(&self, owner: Owner) {
        let mut kept = self.kept.lock().expect("no holder panics");
        self.era.fetch_add(1, Ordering::AcqRel);
        kept.remove(&owner);
    }

    pub(super) fn forget_all(&self) {
        let mut kept = self.kept.lock().expect("no holder panics");
        self.era.fetch_add(1, Ordering::AcqRel);
        kept.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.lock().expect("no holder panics").len()
    }
}
