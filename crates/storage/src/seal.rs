mod ring;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hkdf::Hkdf;
use model::Entropy;
use sha2::Sha256;
use zeroize::Zeroizing;

use self::ring::{Ring, Rings};
use crate::{Owner, Result, StorageError, aead};

/// The key that wraps data keys. Kept outside of every database.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// A data key as it is stored: sealed by the master key, bound to its owner and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Whose values it seals.
    pub owner: Owner,
    /// Which of the owner's keys: the newest (greatest) seals, all of them open.
    pub id: u32,
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

    /// Deletes an owner's keys for good.
    async fn shred(&self, owner: Owner) -> Result<()>;
}

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
    master: MasterKey,
    keys: Arc<dyn WrappedKeys>,
    entropy: Arc<dyn Entropy>,
    rings: Rings,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer whose data keys are in `keys`. Makes the platform's key if there is none; fails with
    /// [`StorageError::WrongMasterKey`] when the platform's key does not open with `master`, so that a
    /// wrong master key is never taken for "no data".
    pub async fn open_ring(master: MasterKey, keys: Arc<dyn WrappedKeys>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let sealer = Self { master, keys, entropy, rings: Rings::default() };
        sealer.ring_or_new(Owner::Platform).await.map_err(|error| match error {
            StorageError::Damaged { .. } => StorageError::WrongMasterKey,
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
    /// (HKDF-SHA-256, RFC 5869, of the platform's oldest data key).
    pub async fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
        let ring = self.ring_or_new(Owner::Platform).await?;
        Ok(expand(ring.oldest().secret(), "derived", purpose))
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
        let newest = ring.newest();
        Ok(newest.cipher().seal(newest.id(), &bound(&owner.to_string(), parts), plain, &*self.entropy))
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

    /// The owner's keys, if there are any.
    async fn ring(&self, owner: Owner) -> Result<Option<Arc<Ring>>> {
        if let Some(ring) = self.rings.get(owner) {
            return Ok(Some(ring));
        }
        let era = self.rings.era();
        let wrapped = self.keys.load(owner).await?;
        let ring = Ring::unwrap(&self.master, owner, &wrapped)?.map(Arc::new);
        if let Some(ring) = &ring {
            self.rings.keep(owner, ring, era);
        }
        Ok(ring)
    }

    /// The owner's keys; the first one is made if there is none.
    async fn ring_or_new(&self, owner: Owner) -> Result<Arc<Ring>> {
        if let Some(ring) = self.ring(owner).await? {
            return Ok(ring);
        }
        let first = Ring::wrap_first(&self.master, owner, &*self.entropy);
        // Whoever was first, what is stored now is the key: of two callers neither uses a key of its own.
        self.keys.insert(&first).await?;
        self.ring(owner).await?.ok_or_else(|| StorageError::unavailable("the new data key cannot be read back"))
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
