//! Keys for other purposes than sealing, the same on every replica and after every restart.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use model::Timestamp;

use super::{Sealer, expand, ring::Ring};

/// A key for one purpose (`csrf`, `token/session`, …) per data key of the platform, derived with
/// HKDF-SHA-256 (RFC 5869), as whatever `T` makes of it. It follows rotation: the newest makes, all of them
/// check. Reading takes no lock and does no I/O.
pub struct Derived<T> {
    sealer: Arc<Sealer>,
    purpose: &'static str,
    make: fn(&[u8; 32]) -> T,
    made: ArcSwap<Made<T>>,
}

struct Made<T> {
    /// From which data keys; held, so that no other ring can have its address.
    ring: Arc<Ring>,
    keys: Vec<(u32, Timestamp, T)>,
}

impl<T> fmt::Debug for Derived<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derived({})", self.purpose)
    }
}

impl<T> Derived<T> {
    /// Derives the keys for a purpose. `make` should keep a key only in types that wipe it.
    pub fn new(sealer: &Arc<Sealer>, purpose: &'static str, make: fn(&[u8; 32]) -> T) -> Self {
        let first = Self::derive(sealer.platform(), purpose, make);
        Self { sealer: Arc::clone(sealer), purpose, make, made: ArcSwap::from_pointee(first) }
    }

    fn derive(ring: Arc<Ring>, purpose: &str, make: fn(&[u8; 32]) -> T) -> Made<T> {
        let keys = ring.keys().iter();
        let keys = keys.map(|key| (key.id(), key.active_from(), make(&expand(key.secret(), "derived", purpose))));
        Made { keys: keys.collect(), ring }
    }

    /// What is derived from the data keys as they are now.
    fn made(&self) -> Guard<Arc<Made<T>>> {
        let made = self.made.load();
        if self.sealer.is_platform(&made.ring) {
            return made;
        }
        self.made.store(Arc::new(Self::derive(self.sealer.platform(), self.purpose, self.make)));
        self.made.load()
    }

    /// Makes something with the key that makes now; `id` is that of its data key.
    pub fn newest<R>(&self, with: impl FnOnce(u32, &T) -> R) -> R {
        let (made, now) = (self.made(), self.sealer.now());
        let active = made.keys.iter().rev().find(|(_, active_from, _)| *active_from <= now);
        let (id, _, key) = active.or(made.keys.first()).expect("a ring has a key");
        with(*id, key)
    }

    /// Does something with the key of a data key, if it is there.
    pub fn of<R>(&self, id: u32, with: impl FnOnce(&T) -> R) -> Option<R> {
        self.made().keys.iter().find(|(of, ..)| *of == id).map(|(.., key)| with(key))
    }

    /// Whether any key fits, newest first.
    pub fn any(&self, fits: impl Fn(&T) -> bool) -> bool {
        self.made().keys.iter().rev().any(|(.., key)| fits(key))
    }
}
