use std::{fmt, str::FromStr};

use async_trait::async_trait;
use model::{InvalidId, TenantId, Timestamp, UserId};
use zeroize::Zeroizing;

use crate::Result;

/// Who a value belongs to. Each owner has a data key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The installation.
    Platform,
    /// A tenant.
    Tenant(TenantId),
    /// A person, in no tenant.
    User(UserId),
}

/// As it stands in keys and associated data: `platform`, `ten_…`, `usr_…`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Tenant(id) => id.fmt(f),
            Self::User(id) => id.fmt(f),
        }
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Owner {
    type Err = InvalidId;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidId> {
        if text == "platform" {
            return Ok(Self::Platform);
        }
        text.parse().map(Self::Tenant).or_else(|_| text.parse().map(Self::User))
    }
}

/// What the loss of a collection would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Survives everything that the database survives: sessions, the vault, revocations, replay markers.
    Durable,
    /// May be lost, or seen twice, when a cache fails over: pending transactions, limits, caches.
    Volatile,
}

/// A named set of values with one meaning, one lifetime and one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Collection {
    /// Its name: lower case, dashes, unique in the installation.
    pub name: &'static str,
    /// What its loss would cost.
    pub durability: Durability,
    /// The version of the values' format, stored with each and bound into its seal.
    pub format: u8,
    /// Older formats that the collection's owner still parses, looking at [`Entry::format`]. A value of
    /// any other format is refused by name, never misread.
    pub reads: &'static [u8],
}

/// Where one value lives.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose it is.
    pub owner: Owner,
    /// What it is.
    pub collection: Collection,
    /// Which one. Never a secret: for a token, this is the token's hash.
    pub key: &'a str,
}

/// As it stands in associated data and error messages; the key is left out of messages by using
/// [`Collection::name`] there.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}/{}", self.owner, self.collection.name, self.collection.format, self.key)
    }
}

/// Which write of a place this is. Increases with each write; a place that was deleted and written again
/// never repeats one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// How long to keep a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until it is deleted.
    Forever,
    /// Until this moment; from then on it is as if it were not there.
    Until(Timestamp),
}

impl Keep {
    /// The moment of expiry, if there is one.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Until(at) => Some(at),
        }
    }
}

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The bytes; wiped when dropped, since most of them are secrets.
    pub value: Zeroizing<Vec<u8>>,
    /// Which write it is.
    pub revision: Revision,
    /// How long it lives.
    pub keep: Keep,
    /// The format that it was written in.
    pub format: u8,
}

/// A store of values by place. Every call is atomic; each verb says who wins a race.
///
/// An expired value is as absent as one never written, for every verb, by the clock that the store was
/// made with. A backend stores a collection's format with each value and gives it back; which formats are
/// read is for [`Sealed`](crate::Sealed) to decide. Errors mean that something failed; "not there" is `None` or `false`.
#[async_trait]
pub trait KeyValue: Send + Sync + fmt::Debug {
    /// Reads a value.
    async fn get(&self, at: Place<'_>) -> Result<Option<Entry>>;

    /// Writes a value, whatever was there. The last of several callers stays.
    async fn put(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Revision>;

    /// Writes a value if none is there. Of several callers, exactly one gets `Some`: the gate for replay
    /// markers and for names that one may have.
    async fn insert(&self, at: Place<'_>, value: &[u8], keep: Keep) -> Result<Option<Revision>>;

    /// Removes a value and returns it. Of several callers, exactly one gets it: the gate for whatever is
    /// single use.
    async fn take(&self, at: Place<'_>) -> Result<Option<Entry>>;

    /// Writes a value if the one there is of revision `expected`. Of several callers with the same
    /// revision, exactly one gets `Some`: the gate for stages of a transaction.
    async fn replace(&self, at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Result<Option<Revision>>;

    /// Removes a value. `true` if one was there.
    async fn delete(&self, at: Place<'_>) -> Result<bool>;
}
