//! New data keys, and new wrappings of old ones.

use std::time::Duration;

use model::Timestamp;

use super::Sealer;
use crate::{Owner, Result, aead};

/// How long after it was made a data key begins to seal: by then every replica that is not cut off has
/// heard of it, and those that have not read it when they meet it.
pub const ACTIVATION: Duration = Duration::from_secs(5);

/// How long the successor of a data key has to have been active before the key may go: longer than a
/// replica goes on with what it knows while the store is away.
pub(crate) const SUCCESSION: Duration = Duration::from_mins(15);

/// How long whatever was made with a [`Derived`](super::Derived) key may be good for. The platform's data
/// keys stay that much longer, since what clients and browsers hold cannot be sealed anew.
pub const DERIVED_LIFE: Duration = Duration::from_hours(8 * 24);

/// What the rotation of one owner's keys did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Whether a data key was made; not if the owner has none, or somebody else made one at the same time.
    pub made: bool,
    /// How many keys the newest master key wraps now and did not before.
    pub rewrapped: u64,
}

impl Sealer {
    /// Makes a new data key for an owner that has one, active in [`ACTIVATION`], and wraps all of the
    /// owner's keys by the newest master key. To be followed by
    /// [`data_keys_changed`](crate::repo::Changes::data_keys_changed).
    pub async fn rotate(&self, owner: Owner) -> Result<Rotated> {
        let store = &self.store;
        let stored = store.keys.load(owner).await?;
        let Some(ring) = store.unwrap(owner, &stored)? else { return Ok(Rotated::default()) };
        let mut rotated = Rotated::default();
        let newest = ring.newest().id();
        if let Some(id) = newest.checked_add(1) {
            let key = store.wrap(owner, id, self.clock.now() + ACTIVATION, &store.fresh());
            rotated.made = store.keys.insert(&key).await?;
        }
        if rotated.made && store.keys.load(owner).await?.iter().all(|key| key.id != newest) {
            // The owner was shredded in the meantime, and is not to have a key again.
            store.keys.shred(owner).await?;
            rotated.made = false;
        }
        let master = store.masters().newest().id();
        for old in stored.iter().filter(|key| key.master != Some(master)) {
            let secret = ring.key(old.id).expect("the ring was made of these").secret();
            let anew = store.wrap(owner, old.id, old.active_from, secret);
            rotated.rewrapped += u64::from(store.keys.rewrap(&anew, old.master).await?);
        }
        self.reread(owner).await?;
        Ok(rotated)
    }

    /// Removes a data key that seals nothing any more. Never the newest.
    pub(crate) async fn remove_key(&self, owner: Owner, id: u32) -> Result<bool> {
        let removed = self.store.keys.remove(owner, id).await?;
        self.reread(owner).await?;
        Ok(removed)
    }

    /// From when on the newest key of an owner seals; `None` if the owner has no key.
    pub(crate) async fn newest_active_from(&self, owner: Owner) -> Result<Option<Timestamp>> {
        Ok(self.ring(owner).await?.map(|ring| ring.newest().active_from()))
    }

    /// Seals anew what is sealed by a key that is not the owner's newest active one. `None` if it is.
    pub(crate) async fn reseal_parts(
        &self,
        owner: Owner,
        parts: &[&[u8]],
        sealed: &[u8],
        place: impl Fn() -> String + Send + Sync,
    ) -> Result<Option<Vec<u8>>> {
        if let (Ok(id), Some(ring)) = (aead::key_id(sealed), self.ring(owner).await?)
            && ring.sealing(self.clock.now()).id() == id
        {
            return Ok(None);
        }
        let plain = self.open_parts(owner, parts, sealed, place).await?;
        self.seal_parts(owner, parts, &plain).await.map(Some)
    }
}

#[cfg(test)]
mod tests;
