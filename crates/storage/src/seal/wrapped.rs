//! Data keys as they are stored.

use std::fmt;

use async_trait::async_trait;
use model::{Entropy, Timestamp};
use zeroize::Zeroizing;

use super::{
    master::{MasterId, MasterKey, MasterKeys},
    ring::DataKey,
};
use crate::{Owner, Result, StorageError, aead};

/// A data key as it is stored: sealed by a master key, and bound to everything else here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Whose values it seals.
    pub owner: Owner,
    /// Which of the owner's keys, from 1: the newest active one seals, all of them open.
    pub id: u32,
    /// Which master key wraps it. `None` for a key from before there were rings: any may.
    pub master: Option<MasterId>,
    /// It seals from this moment on; before, replicas that do not know it yet may be there.
    pub active_from: Timestamp,
    /// The key, sealed.
    pub wrapped: Vec<u8>,
}

/// Where wrapped data keys are kept: apart from the data and from its backups, so that deleting an
/// owner's keys here makes every copy of their data unreadable.
#[async_trait]
pub trait WrappedKeys: Send + Sync + fmt::Debug {
    /// An owner's keys, oldest first.
    async fn load(&self, owner: Owner) -> Result<Vec<WrappedKey>>;

    /// Adds a key if the owner has none with its id. Of several callers exactly one gets `true`.
    async fn insert(&self, key: &WrappedKey) -> Result<bool>;

    /// The owners that have keys, in the order of their texts, after `after`.
    async fn owners(&self, after: Option<Owner>, limit: u32) -> Result<Vec<Owner>>;

    /// How many owners have keys: for a progress bar.
    async fn count_owners(&self) -> Result<u64>;

    /// How many keys each master key wraps; one that wraps none is not there.
    async fn masters(&self) -> Result<Vec<(Option<MasterId>, u64)>>;

    /// Exchanges the wrapping of the key with this owner and id: `master` and `wrapped` become `key`'s if
    /// it was wrapped by `old` until now. `false`, and nothing was written, otherwise.
    async fn rewrap(&self, key: &WrappedKey, old: Option<MasterId>) -> Result<bool>;

    /// Deletes one key for good. `false` if it was not there.
    async fn remove(&self, owner: Owner, id: u32) -> Result<bool>;

    /// Deletes an owner's keys for good.
    async fn shred(&self, owner: Owner) -> Result<()>;
}

/// Why a stored key is not a data key of this process.
#[derive(Debug)]
pub(super) enum Locked {
    /// Its master key is not in the ring.
    Master(MasterId),
    /// It was changed or moved, or no key of the ring made it.
    Damaged(&'static str),
}

impl Locked {
    pub(super) fn into_error(self, owner: Owner) -> StorageError {
        match self {
            Self::Master(master) => StorageError::UnknownMasterKey { owner: owner.to_string(), master },
            Self::Damaged(reason) => StorageError::damaged(format!("the data keys of {owner}"), reason),
        }
    }
}

impl WrappedKey {
    /// A data key, wrapped by `master`.
    pub(super) fn wrap(
        master: &MasterKey,
        owner: Owner,
        (id, active_from): (u32, Timestamp),
        secret: &[u8; 32],
        entropy: &dyn Entropy,
    ) -> Self {
        let bound = Bound::new(owner, Some(master.id()), active_from);
        let wrapped = master.wrapping().seal(id, bound.label(), &bound.parts(), secret, entropy);
        Self { owner, id, master: Some(master.id()), active_from, wrapped }
    }

    /// The data key, if this is one of `owner`'s and a key of the ring wraps it.
    pub(super) fn unwrap(&self, masters: &MasterKeys, owner: Owner) -> std::result::Result<DataKey, Locked> {
        let id = aead::key_id(&self.wrapped).map_err(|why| Locked::Damaged(why.reason()))?;
        if id != self.id {
            return Err(Locked::Damaged("a key has another's id"));
        }
        let bound = Bound::new(owner, self.master, self.active_from);
        let open = |master: &MasterKey| master.wrapping().open(bound.label(), &bound.parts(), &self.wrapped);
        let opened = match self.master {
            Some(id) => open(masters.get(id).ok_or(Locked::Master(id))?),
            None if self.active_from != Timestamp::default() => Err(aead::Unopened::Changed),
            None => masters.iter().map(open).find(std::result::Result::is_ok).unwrap_or(Err(aead::Unopened::Changed)),
        };
        let secret = opened.map_err(|why| Locked::Damaged(why.reason()))?;
        let secret = <[u8; 32]>::try_from(secret.as_slice()).map(Zeroizing::new);
        let secret = secret.map_err(|_| Locked::Damaged("a key is not of 32 bytes"))?;
        Ok(DataKey::new(id, self.active_from, secret))
    }
}

/// What a wrapped key is bound to besides its id. A key from before there were rings is bound to its owner
/// only; it can have no moment of activation.
struct Bound {
    owner: String,
    ring: Option<([u8; 8], [u8; 8])>,
}

impl Bound {
    fn new(owner: Owner, master: Option<MasterId>, active_from: Timestamp) -> Self {
        let ring = master.map(|id| (id.0, active_from.millis().to_be_bytes()));
        Self { owner: owner.to_string(), ring }
    }

    fn label(&self) -> &'static [u8] {
        if self.ring.is_some() { b"data key of a ring" } else { b"data key" }
    }

    fn parts(&self) -> Vec<&[u8]> {
        let ring = self.ring.iter().flat_map(|(master, active_from)| [master.as_slice(), active_from]);
        [self.owner.as_bytes()].into_iter().chain(ring).collect()
    }
}
