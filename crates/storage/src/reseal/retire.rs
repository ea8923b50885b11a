//! Data keys that seal nothing any more.

use std::time::Duration;

use super::{Pass, Reseal};
use crate::{DERIVED_LIFE, Owner, Result, WrappedKey, seal::SUCCESSION, taken_in_everywhere};

/// How many owners are looked at before the replicas hear of what went.
const BATCH: u32 = 50;

/// How long a key's successor has to have been active.
fn succession(owner: Owner) -> Duration {
    match owner {
        Owner::Platform => SUCCESSION + DERIVED_LIFE,
        Owner::Tenant(_) | Owner::User(_) => SUCCESSION,
    }
}

/// How long replicas are waited for. They follow the feed within a second.
const PATIENCE: Duration = Duration::from_secs(10);

impl Reseal {
    /// Tells the replicas once more of every owner with several keys, and waits until all of them have forgotten
    /// what they knew. Whoever made the keys may have been killed before it told them, and a replica that
    /// does not know the newest key goes on writing with the one before. Returns how many may still do so.
    pub(super) async fn announce(&self) -> Result<u64> {
        let keys = self.sealer.wrapped_keys();
        let (mut after, mut told) = (None, None);
        loop {
            let owners = keys.owners(after, BATCH).await?;
            let Some(last) = owners.last() else { break };
            after = Some(*last);
            let mut several = Vec::new();
            for owner in owners {
                if keys.load(owner).await?.len() > 1 {
                    several.push(owner);
                }
            }
            if !several.is_empty() {
                told = Some(self.changes.data_keys_changed(&several).await?);
            }
        }
        let Some(sequence) = told else { return Ok(0) };
        let behind = taken_in_everywhere(&*self.replicas, &*self.clock, sequence, PATIENCE).await?;
        Ok(behind.len() as u64)
    }

    /// Removes every key whose successor had been active for long enough when the pass began, and known to
    /// every replica: nobody has written with it since, and the pass has sealed anew what it had sealed.
    pub(super) async fn retire(&self, pass: &mut Pass) -> Result<()> {
        let keys = self.sealer.wrapped_keys();
        let mut after = None;
        loop {
            let owners = keys.owners(after, BATCH).await?;
            let Some(last) = owners.last() else { return Ok(()) };
            after = Some(*last);
            let mut changed = Vec::new();
            for owner in owners {
                if self.retire_of(owner, &keys.load(owner).await?, pass).await? {
                    changed.push(owner);
                }
            }
            if !changed.is_empty() {
                self.changes.data_keys_changed(&changed).await?;
            }
        }
    }

    async fn retire_of(&self, owner: Owner, keys: &[WrappedKey], pass: &mut Pass) -> Result<bool> {
        let mut any = false;
        for (at, key) in keys.iter().enumerate() {
            // The first of its successors to become active: from then on this one did not seal.
            let Some(succeeded) = keys[at + 1..].iter().map(|next| next.active_from).min() else { break };
            if pass.named.contains(&(owner, key.id)) {
                continue;
            }
            let removable = succeeded + succession(owner);
            if removable <= pass.started {
                let removed = self.sealer.remove_key(owner, key.id).await?;
                pass.done.removed += u64::from(removed);
                any |= removed;
            } else {
                let (first, last) = pass.done.removable_from.unwrap_or((removable, removable));
                pass.done.removable_from = Some((first.min(removable), last.max(removable)));
            }
        }
        Ok(any)
    }
}
