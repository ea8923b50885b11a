use std::{fmt, sync::Arc};

use async_trait::async_trait;
use model::Entropy;
use zeroize::Zeroizing;

use crate::{Owner, Result};

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
    /// Which of the owner's keys: the newest seals, all of them open.
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
pub struct Sealer {
    _master: MasterKey,
    _keys: Arc<dyn WrappedKeys>,
    _entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer whose data keys are in `keys`. Makes the platform's key if there is none; fails when the
    /// platform's key does not open with `master`, so that a wrong master key is never taken for "no data".
    pub async fn open_ring(master: MasterKey, keys: Arc<dyn WrappedKeys>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self { _master: master, _keys: keys, _entropy: entropy })
    }

    /// Seals a value; `bound` says where it stands and is needed to open it.
    pub async fn seal(&self, _owner: Owner, _bound: &[u8], _plain: &[u8]) -> Result<Vec<u8>> {
        todo!("storage helper")
    }

    /// Opens a value at the place that it was sealed for.
    pub async fn open(&self, _owner: Owner, _bound: &[u8], _sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        todo!("storage helper")
    }

    /// Seals a secret column.
    pub async fn seal_column(&self, _at: ColumnPlace<'_>, _plain: &[u8]) -> Result<Vec<u8>> {
        todo!("storage helper")
    }

    /// Opens a secret column.
    pub async fn open_column(&self, _at: ColumnPlace<'_>, _sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        todo!("storage helper")
    }

    /// A key for one purpose (`csrf`, `session-id`, …), the same on every replica and after every restart
    /// (HKDF-SHA-256 of the platform's oldest data key).
    pub async fn derive(&self, _purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
        todo!("storage helper")
    }
}
