//! The unwrapped data keys of owners, and the bounded memory of them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use model::Entropy;
use zeroize::Zeroizing;

use super::{MasterKey, WrappedKey, expand};
use crate::{Owner, Result, StorageError, aead::SealingKey};

/// How many owners' keys are kept in memory.
pub(super) const KEPT: usize = 1024;

/// One data key. It has two uses, each with a key derived from it: sealing, and deriving further keys.
pub(super) struct DataKey {
    id: u32,
    cipher: SealingKey,
    secret: Zeroizing<[u8; 32]>,
}

impl DataKey {
    fn new(id: u32, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { id, cipher: SealingKey::new(&expand(&secret, "seal", "")), secret }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn cipher(&self) -> &SealingKey {
        &self.cipher
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

/// The data keys of one owner, oldest first. Invariant: there is at least one.
pub(super) struct Ring(Vec<DataKey>);

impl Ring {
    /// Opens an owner's stored keys; `None` if there are none.
    pub(super) fn unwrap(master: &MasterKey, owner: Owner, stored: &[WrappedKey]) -> Result<Option<Self>> {
        let cipher = SealingKey::new(&expand(&master.0, "wrap", ""));
        let mut keys = stored.iter().map(|key| open_key(&cipher, owner, key)).collect::<Result<Vec<_>>>()?;
        keys.sort_by_key(DataKey::id);
        Ok((!keys.is_empty()).then_some(Self(keys)))
    }

    /// An owner's first key, fresh and wrapped.
    pub(super) fn wrap_first(master: &MasterKey, owner: Owner, entropy: &dyn Entropy) -> WrappedKey {
        let id = 1;
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut *secret);
        let cipher = SealingKey::new(&expand(&master.0, "wrap", ""));
        let wrapped = cipher.seal(id, &wrap_parts(&owner.to_string()), &*secret, entropy);
        WrappedKey { owner, id, wrapped }
    }

    pub(super) fn oldest(&self) -> &DataKey {
        self.0.first().expect("a ring has a key")
    }

    pub(super) fn newest(&self) -> &DataKey {
        self.0.last().expect("a ring has a key")
    }

    pub(super) fn key(&self, id: u32) -> Option<&DataKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

fn wrap_parts(owner: &str) -> [&[u8]; 2] {
    [b"data key", owner.as_bytes()]
}

fn open_key(cipher: &SealingKey, owner: Owner, key: &WrappedKey) -> Result<DataKey> {
    let damaged = |reason| StorageError::damaged(format!("the data keys of {owner}"), reason);
    let id = crate::aead::key_id(&key.wrapped).map_err(|why| damaged(why.reason()))?;
    if id != key.id {
        return Err(damaged("a key has another's id"));
    }
    let secret = cipher.open(&wrap_parts(&owner.to_string()), &key.wrapped).map_err(|why| damaged(why.reason()))?;
    let secret = <[u8; 32]>::try_from(secret.as_slice()).map_err(|_| damaged("a key is not of 32 bytes"))?;
    Ok(DataKey::new(id, Zeroizing::new(secret)))
}

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

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.lock().expect("no holder panics").len()
    }
}
