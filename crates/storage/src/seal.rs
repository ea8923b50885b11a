mod master;
mod ring;
mod rings;
mod wrapped;

use std::{
    fmt,
    sync::{Arc, RwLock},
};

use async_trait::async_trait;
use hkdf::Hkdf;
use model::{Clock, Entropy, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use self::{
    master::{BadMasterKeys, InvalidMasterId, MasterId, MasterKey, MasterKeySource, MasterKeys},
    wrapped::{WrappedKey, WrappedKeys},
};
use self::{ring::Ring, rings::Rings, wrapped::Locked};
use crate::{Change, ChangeKind, Follow, Owner, Result, StorageError, aead};

/// Which column of which row a sealed value stands in.
#[derive(Clone, Copy, Debug)]
pub struct ColumnPlace<'a> {
    /// Whose key seals it.
    pub owner: Owner,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's primary key.
    pub row: &'a [u8],
}

/// Seals and opens bytes with the data key of their owner.
///
/// Invariants: a data key is in memory only wrapped in types that wipe it, at most for the 1024 owners
/// used last; an owner without a key gets one at the first seal, never at an open.
pub struct Sealer {
    source: Arc<dyn MasterKeySource>,
    masters: RwLock<MasterKeys>,
    keys: Arc<dyn WrappedKeys>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    rings: Rings,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer whose data keys are in `keys`, wrapped by the master keys of `source`. Makes the platform's
    /// key if there is none; fails with [`StorageError::WrongMasterKey`] when the platform's keys do not
    /// all open, so that a wrong master key is never taken for "no data".
    pub async fn open_ring(
        source: Arc<dyn MasterKeySource>,
        keys: Arc<dyn WrappedKeys>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let masters = RwLock::new(source.read()?);
        let sealer = Self { source, masters, keys, clock, entropy, rings: Rings::default() };
        sealer.ring_or_new(Owner::Platform).await.map_err(|error| match error {
            StorageError::Damaged { .. } | StorageError::UnknownMasterKey { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "the master key does not fit");
                StorageError::WrongMasterKey
            }
            other => other,
        })?;
        Ok(sealer)
    }

    /// Seals a value; `bound` says where it stands and is needed to open it.
    pub async fn seal(&self, owner: Owner, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_parts(owner, &[b"value", bound], plain).await
    }

    /// Opens a value at the place that it was sealed for.
    pub async fn open(&self, owner: Owner, bound: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.open_parts(owner, &[b"value", bound], sealed, || format!("a value of {owner}")).await
    }

    /// Seals a secret column.
    pub async fn seal_column(&self, at: ColumnPlace<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_parts(at.owner, &column_parts(&at), plain).await
    }

    /// Opens a secret column.
    pub async fn open_column(&self, at: ColumnPlace<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.open_parts(at.owner, &column_parts(&at), sealed, || format!("{}.{}", at.table, at.column)).await
    }

    /// A key for one purpose (`csrf`, `session-id`, …), the same on every replica and after every restart
    /// (HKDF-SHA-256, RFC 5869, of the platform's first data key).
    pub async fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
        let ring = self.ring_or_new(Owner::Platform).await?;
        Ok(expand(ring.keys()[0].secret(), "derived", purpose))
    }

    /// Deletes an owner's keys and forgets them here: nothing that was sealed for the owner can be opened
    /// again, in any copy of the data.
    pub async fn shred(&self, owner: Owner) -> Result<()> {
        let shredded = self.keys.shred(owner).await;
        self.rings.forget(owner);
        shredded
    }

    pub(crate) async fn seal_parts(&self, owner: Owner, parts: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
        let ring = self.ring_or_new(owner).await?;
        let key = ring.sealing(self.clock.now());
        Ok(key.cipher().seal(key.id(), &bound(&owner.to_string(), parts), plain, &*self.entropy))
    }

    pub(crate) async fn open_parts(
        &self,
        owner: Owner,
        parts: &[&[u8]],
        sealed: &[u8],
        place: impl Fn() -> String + Send + Sync,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let damaged = |reason| StorageError::damaged(place(), reason);
        let id = aead::key_id(sealed).map_err(|why| damaged(why.reason()))?;
        let mut ring = self.ring(owner).await?;
        if ring.as_ref().is_none_or(|ring| ring.key(id).is_none()) {
            // Another replica may have made the key after this one had looked.
            self.rings.forget(owner);
            ring = self.ring(owner).await?;
        }
        let key = ring.as_ref().and_then(|ring| ring.key(id)).ok_or_else(|| damaged("its key is gone"))?;
        key.cipher().open(&bound(&owner.to_string(), parts), sealed).map_err(|why| damaged(why.reason()))
    }

    /// Opens all keys of an owner, as it is done before their first use.
    pub(crate) async fn check(&self, owner: Owner) -> Result<()> {
        self.ring(owner).await.map(drop)
    }

    /// The owner's keys, if there are any.
    async fn ring(&self, owner: Owner) -> Result<Option<Arc<Ring>>> {
        if let Some(ring) = self.rings.get(owner) {
            return Ok(Some(ring));
        }
        let era = self.rings.era();
        let wrapped = self.keys.load(owner).await?;
        let ring = self.unwrap(owner, &wrapped)?.map(Arc::new);
        if let Some(ring) = &ring {
            self.rings.keep(owner, ring, era);
        }
        Ok(ring)
    }

    fn unwrap(&self, owner: Owner, wrapped: &[WrappedKey]) -> Result<Option<Ring>> {
        let ring = Ring::unwrap(&self.masters(), owner, wrapped);
        let Err(Locked::Master(_)) = ring else { return ring.map_err(|why| why.into_error(owner)) };
        // Somebody was given a new master key before this process was.
        let masters = self.source.read()?;
        *self.masters.write().expect("no holder panics") = masters.clone();
        Ring::unwrap(&masters, owner, wrapped).map_err(|why| why.into_error(owner))
    }

    fn masters(&self) -> MasterKeys {
        self.masters.read().expect("no holder panics").clone()
    }

    /// The owner's keys; the first one is made if there is none.
    async fn ring_or_new(&self, owner: Owner) -> Result<Arc<Ring>> {
        if let Some(ring) = self.ring(owner).await? {
            return Ok(ring);
        }
        let mut secret = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *secret);
        let always = (1, Timestamp::default());
        let first = WrappedKey::wrap(self.masters().newest(), owner, always, &secret, &*self.entropy);
        // Whoever was first, what is stored now is the key: of two callers neither uses a key of its own.
        self.keys.insert(&first).await?;
        self.ring(owner).await?.ok_or_else(|| StorageError::unavailable("the new data key cannot be read back"))
    }
}

/// Other replicas' changes: what this process remembers of the keys is forgotten and read anew when needed.
#[async_trait]
impl Follow for Sealer {
    async fn reload(&self) -> Result<()> {
        self.rings.forget_all();
        Ok(())
    }

    async fn apply(&self, changes: &[Change]) -> Result<()> {
        for change in changes.iter().filter(|change| change.kind == ChangeKind::DataKeys) {
            self.rings.forget(change.key_owner());
        }
        Ok(())
    }
}

fn column_parts<'a>(at: &ColumnPlace<'a>) -> [&'a [u8]; 4] {
    [b"column", at.table.as_bytes(), at.column.as_bytes(), at.row]
}

fn bound<'a>(owner: &'a str, parts: &[&'a [u8]]) -> Vec<&'a [u8]> {
    [owner.as_bytes()].into_iter().chain(parts.iter().copied()).collect()
}

/// Derives one key from another; `label` and `purpose` keep uses apart.
fn expand(from: &[u8; 32], label: &str, purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let mut info = b"portico 1".to_vec();
    aead::append_parts(&mut info, &[label.as_bytes(), purpose.as_bytes()]);
    Hkdf::<Sha256>::new(None, from).expand(&info, &mut *key).expect("32 bytes are not too many");
    key
}

#[cfg(test)]
mod tests;
