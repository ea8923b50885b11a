mod derived;
mod master;
mod nonces;
mod ring;
mod rings;
mod rotate;
mod seen;
mod store;
mod wrapped;

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hkdf::Hkdf;
use model::{Clock, Entropy, Timestamp};
use sha2::Sha256;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

pub(crate) use self::rotate::SUCCESSION;
pub use self::{
    derived::Derived,
    master::{BadMasterKeys, InvalidMasterId, MasterId, MasterKey, MasterKeySource, MasterKeys},
    rotate::{ACTIVATION, DERIVED_LIFE, Rotated},
    wrapped::{WrappedKey, WrappedKeys},
};
use self::{nonces::Nonces, ring::Ring, rings::Rings, seen::Seen, store::KeyStore};
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
/// Invariants: a data key is in memory only wrapped in types that wipe it, and, but for the platform's, at
/// most for the 1024 owners used last; an owner without a key gets one at the first seal, never at an open.
pub struct Sealer {
    store: KeyStore,
    clock: Arc<dyn Clock>,
    rings: Rings,
    nonces: Nonces,
    /// The platform's keys are always there: what is derived from them is needed where nobody can wait.
    platform: ArcSwap<Ring>,
    /// Held while the platform's keys are read, so that older ones never replace newer ones.
    rereading: Mutex<()>,
    damaged: Seen,
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
        let nonces = Nonces::new(Arc::clone(&entropy));
        let store = KeyStore::new(source, keys, entropy)?;
        let platform = store.load_or_make(Owner::Platform).await.map_err(|error| match error {
            StorageError::UnknownMasterKey { master, .. } => StorageError::WrongMasterKey { wanted: Some(master) },
            StorageError::Damaged { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "the master key does not fit");
                StorageError::WrongMasterKey { wanted: None }
            }
            other => other,
        })?;
        Ok(Self {
            store,
            clock,
            rings: Rings::default(),
            nonces,
            platform: ArcSwap::from_pointee(platform),
            rereading: Mutex::default(),
            damaged: Seen::default(),
        })
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

    /// Where the wrapped data keys are.
    pub fn wrapped_keys(&self) -> &Arc<dyn WrappedKeys> {
        &self.store.keys
    }

    /// The ring of master keys as it was last read.
    pub fn master_keys(&self) -> MasterKeys {
        self.store.masters()
    }

    /// Reads the master keys from their source again, for who has just changed them there.
    pub fn reread_master_keys(&self) -> Result<MasterKeys> {
        self.store.reread()
    }

    /// Deletes an owner's keys and forgets them here: nothing that was sealed for the owner can be opened
    /// again, in any copy of the data. Other replicas hear of it by
    /// [`data_keys_changed`](crate::repo::Changes::data_keys_changed). The platform has nobody who could
    /// be shredded.
    pub async fn shred(&self, owner: Owner) -> Result<()> {
        if owner == Owner::Platform {
            return Err(StorageError::Missing("an owner whose keys may go"));
        }
        let shredded = self.store.keys.shred(owner).await;
        self.rings.forget(owner);
        shredded
    }

    pub(crate) async fn seal_parts(&self, owner: Owner, parts: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
        let ring = self.ring_or_new(owner).await?;
        let key = ring.sealing(self.clock.now());
        Ok(key.cipher().seal(key.id(), ring.label(), parts, plain, &self.nonces))
    }

    pub(crate) async fn open_parts(
        &self,
        owner: Owner,
        parts: &[&[u8]],
        sealed: &[u8],
        place: impl Fn() -> String + Send + Sync,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let damaged = |reason| {
            let place = place();
            if self.damaged.first((owner, parts, sealed)) {
                tracing::error!(%owner, place, reason, "a stored value is damaged");
            }
            StorageError::Damaged { place, reason, logged: true }
        };
        let id = aead::key_id(sealed).map_err(|why| damaged(why.reason()))?;
        let mut ring = self.ring(owner).await?;
        if ring.as_ref().is_none_or(|ring| ring.key(id).is_none()) {
            // Another replica may have made the key after this one had looked.
            ring = self.reread(owner).await?;
        }
        let found = ring.as_ref().and_then(|ring| Some((ring.label(), ring.key(id)?)));
        let (label, key) = found.ok_or_else(|| damaged("its key is gone"))?;
        key.cipher().open(label, parts, sealed).map_err(|why| damaged(why.reason()))
    }

    /// Opens all keys of an owner, as it is done before their first use.
    pub(crate) async fn check(&self, owner: Owner) -> Result<()> {
        self.ring(owner).await.map(drop)
    }

    /// The owner's keys, if there are any.
    async fn ring(&self, owner: Owner) -> Result<Option<Arc<Ring>>> {
        if owner == Owner::Platform {
            return Ok(Some(self.platform()));
        }
        if let Some(ring) = self.rings.get(owner) {
            return Ok(Some(ring));
        }
        let era = self.rings.era();
        let ring = self.store.load(owner).await?.map(Arc::new);
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
        let era = self.rings.era();
        let ring = Arc::new(self.store.load_or_make(owner).await?);
        self.rings.keep(owner, &ring, era);
        Ok(ring)
    }

    /// The owner's keys as they are in the store now.
    async fn reread(&self, owner: Owner) -> Result<Option<Arc<Ring>>> {
        if owner != Owner::Platform {
            self.rings.forget(owner);
            return self.ring(owner).await;
        }
        let _alone = self.rereading.lock().await;
        let ring = self.store.load(owner).await?.map(Arc::new);
        let ring = ring.ok_or_else(|| StorageError::damaged("the data keys of platform", "they are gone"))?;
        self.platform.store(Arc::clone(&ring));
        Ok(Some(ring))
    }

    fn platform(&self) -> Arc<Ring> {
        self.platform.load_full()
    }

    /// Whether these are the platform's keys of the moment.
    fn is_platform(&self, ring: &Arc<Ring>) -> bool {
        Arc::ptr_eq(ring, &self.platform.load())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Other replicas' changes: what this process remembers of the keys is forgotten and read anew when
/// needed, the platform's at once.
#[async_trait]
impl Follow for Sealer {
    async fn reload(&self) -> Result<()> {
        self.rings.forget_all();
        self.reread(Owner::Platform).await.map(drop)
    }

    async fn apply(&self, changes: &[Change]) -> Result<()> {
        let owners = changes.iter().filter(|change| change.kind == ChangeKind::DataKeys).map(Change::key_owner);
        let mut platform = false;
        for owner in owners {
            platform |= owner == Owner::Platform;
            self.rings.forget(owner);
        }
        if platform { self.reread(Owner::Platform).await.map(drop) } else { Ok(()) }
    }
}

pub(crate) fn column_parts<'a>(at: &ColumnPlace<'a>) -> [&'a [u8]; 4] {
    [b"column", at.table.as_bytes(), at.column.as_bytes(), at.row]
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
