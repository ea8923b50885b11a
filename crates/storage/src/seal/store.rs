//! Data keys where they are stored, and the master keys that open them.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use model::{Entropy, Timestamp};
use zeroize::Zeroizing;

use super::{
    master::{MasterKeySource, MasterKeys},
    ring::Ring,
    wrapped::{Locked, WrappedKey, WrappedKeys},
};
use crate::{Owner, Result, StorageError};

/// Reads, makes and opens the data keys of owners.
pub(super) struct KeyStore {
    source: Arc<dyn MasterKeySource>,
    masters: RwLock<MasterKeys>,
    pub(super) keys: Arc<dyn WrappedKeys>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyStore")
    }
}

impl KeyStore {
    pub(super) fn new(
        source: Arc<dyn MasterKeySource>,
        keys: Arc<dyn WrappedKeys>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        Ok(Self { masters: RwLock::new(source.read()?), source, keys, entropy })
    }

    /// The ring of master keys as it was last read.
    pub(super) fn masters(&self) -> MasterKeys {
        self.masters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the ring of master keys anew.
    pub(super) fn reread(&self) -> Result<MasterKeys> {
        let masters = self.source.read()?;
        *self.masters.write().unwrap_or_else(PoisonError::into_inner) = masters.clone();
        Ok(masters)
    }

    /// An owner's data keys, if there are any.
    pub(super) async fn load(&self, owner: Owner) -> Result<Option<Ring>> {
        let stored = self.keys.load(owner).await?;
        self.unwrap(owner, &stored)
    }

    /// An owner's data keys; the first one is made if there is none.
    pub(super) async fn load_or_make(&self, owner: Owner) -> Result<Ring> {
        if let Some(ring) = self.load(owner).await? {
            return Ok(ring);
        }
        let first = self.wrap(owner, 1, Timestamp::default(), &self.fresh());
        // Whoever was first, what is stored now is the key: of two callers neither uses a key of its own.
        self.keys.insert(&first).await?;
        self.load(owner).await?.ok_or_else(|| StorageError::unavailable("the new data key cannot be read back"))
    }

    pub(super) fn unwrap(&self, owner: Owner, stored: &[WrappedKey]) -> Result<Option<Ring>> {
        let ring = Ring::unwrap(&self.masters(), owner, stored);
        let Err(Locked::Master(_)) = ring else { return ring.map_err(|why| why.into_error(owner)) };
        // Somebody was given a new master key before this process was.
        Ring::unwrap(&self.reread()?, owner, stored).map_err(|why| why.into_error(owner))
    }

    /// A data key, wrapped by the newest master key.
    pub(super) fn wrap(&self, owner: Owner, id: u32, active_from: Timestamp, secret: &[u8; 32]) -> WrappedKey {
        WrappedKey::wrap(self.masters().newest(), owner, (id, active_from), secret, &*self.entropy)
    }

    pub(super) fn fresh(&self) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *secret);
        secret
    }
}
