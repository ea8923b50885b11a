//! What Portico remembers and how: the key-value trait, encryption, the repositories' traits, the change
//! feed and the bus.
//!
//! Invariants:
//! - Nothing here knows SQL or Redis; a backend is a crate of its own.
//! - Every value has an owner in its address. There is no call that reads across owners.
//! - Expiry is decided on read, by our clock; a backend's own expiry only cleans up.

mod aead;
mod bus;
mod error;
mod feed;
mod kv;
mod maintenance;
mod memory;
mod paging;
mod presence;
mod reseal;
mod rotation;
mod seal;
mod sealed;
mod split;
mod token;
#[cfg(test)]
mod trial;
mod values;

pub mod archive;
pub mod column;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod repo;
pub mod usage;

pub use crate::{
    bus::{Bus, LocalBus},
    error::{Refused, StorageError},
    feed::{CHANGE_LIFE, Change, ChangeKind, Follow, Follower, Trouble},
    kv::{Collection, Durability, Entry, Keep, KeyValue, Owner, Place, Revision},
    maintenance::{
        AT_ONCE, Cursor, Found, FoundColumn, Maintenance, Scan, ScannedColumns, SealedColumns, TOMBSTONE_LIFE, maintain,
    },
    memory::Memory,
    paging::pages,
    presence::{ALIVE, SILENT, SKEW, taken_in_everywhere},
    reseal::{InvalidPosition, Reseal, ResealPosition, Resealed},
    rotation::{OnProgress, Progress, Rotation, rotate},
    seal::{
        ACTIVATION, BadMasterKeys, ColumnPlace, DERIVED_LIFE, Derived, InvalidMasterId, MasterId, MasterKey,
        MasterKeySource, MasterKeys, Rotated, Sealer, WrappedKey, WrappedKeys,
    },
    sealed::Sealed,
    split::Split,
    token::{SealedTokens, TokenKind},
    values::{Decide, Kept, Keys, Lifetime, Stored, Values},
};

/// What storage calls return.
pub type Result<T> = std::result::Result<T, StorageError>;
