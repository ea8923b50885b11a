//! The unwrapped data keys of an owner.

use model::Timestamp;
use zeroize::Zeroizing;

use super::{
    expand,
    master::MasterKeys,
    wrapped::{Locked, WrappedKey},
};
use crate::{Owner, aead::SealingKey};

/// One data key. It has two uses, each with a key derived from it: sealing, and deriving further keys.
pub(super) struct DataKey {
    id: u32,
    active_from: Timestamp,
    cipher: SealingKey,
    secret: Zeroizing<[u8; 32]>,
}

impl DataKey {
    pub(super) fn new(id: u32, active_from: Timestamp, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { id, active_from, cipher: SealingKey::new(&expand(&secret, "seal", "")), secret }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn active_from(&self) -> Timestamp {
        self.active_from
    }

    pub(super) fn cipher(&self) -> &SealingKey {
        &self.cipher
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

/// The data keys of one owner, oldest first. Invariant: there is at least one.
pub(super) struct Ring {
    keys: Vec<DataKey>,
    /// Part of whatever they seal, and written out once.
    label: String,
}

impl Ring {
    /// Opens an owner's stored keys; `None` if there are none. One that does not open is the fault of all:
    /// sealing with what is left would hide it.
    pub(super) fn unwrap(masters: &MasterKeys, owner: Owner, stored: &[WrappedKey]) -> Result<Option<Self>, Locked> {
        let mut keys = stored.iter().map(|key| key.unwrap(masters, owner)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(DataKey::id);
        Ok((!keys.is_empty()).then(|| Self { keys, label: owner.to_string() }))
    }

    /// Whose keys they are, as sealed values say it.
    pub(super) fn label(&self) -> &[u8] {
        self.label.as_bytes()
    }

    /// The key that seals at `now`: the newest that is active.
    pub(super) fn sealing(&self, now: Timestamp) -> &DataKey {
        let active = self.keys.iter().rev().find(|key| key.active_from <= now);
        active.unwrap_or_else(|| self.keys.first().expect("a ring has a key"))
    }

    pub(super) fn newest(&self) -> &DataKey {
        self.keys.last().expect("a ring has a key")
    }

    pub(super) fn key(&self, id: u32) -> Option<&DataKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    pub(super) fn keys(&self) -> &[DataKey] {
        &self.keys
    }
}
