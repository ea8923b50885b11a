use std::{cmp, fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{Clock, Entropy};

/// What an [`Id`] identifies; gives the id its printed prefix.
pub trait Kind {
    /// For example `ten`, so that a tenant's id prints as `ten_0198…`.
    const PREFIX: &'static str;
}

/// An id of one kind of thing; ids of two kinds are two types. A UUID of version 7, so ids sort by age.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $prefix:literal, $alias:ident;)*) => {
        /// The kinds of things that have ids.
        pub mod kind {
            $(
                $(#[$doc])*
                #[derive(Debug)]
                pub enum $kind {}
                impl super::Kind for $kind { const PREFIX: &'static str = $prefix; }
            )*
        }
        $(
            #[doc = concat!("The id of a [`", stringify!($kind), "`](kind::", stringify!($kind), ").")]
            pub type $alias = Id<kind::$kind>;
        )*
    };
}

kinds! {
    /// A tenant.
    Tenant = "ten", TenantId;
    /// A person.
    User = "usr", UserId;
    /// A link to an identity provider or a third-party OAuth API.
    Connection = "con", ConnectionId;
    /// A rule about who becomes a member by signing in.
    Rule = "rul", RuleId;
    /// A link by which somebody becomes a member.
    Invitation = "inv", InvitationId;
    /// A registered MCP server.
    Server = "srv", ServerId;
    /// An immutable version of a server's configuration.
    Revision = "rev", RevisionId;
    /// What one user allowed one client on one resource.
    Grant = "gra", GrantId;
    /// An access token, as its `jti` names it.
    Token = "tok", TokenId;
    /// What a resource server proves itself with when it asks about tokens.
    ResourceCredential = "rsc", ResourceCredentialId;
    /// A row of the client table; not the OAuth `client_id`, which may be a URL.
    ClientRow = "cli", ClientRowId;
    /// A browser session, as audit and logs name it; never the cookie's value.
    Session = "ses", SessionId;
    /// An audit event.
    Audit = "aud", AuditId;
    /// A running process that serves.
    Replica = "rep", ReplicaId;
    /// Usage counts that are added together.
    Batch = "bat", BatchId;
    /// One HTTP request, in logs and error pages.
    Request = "req", RequestId;
}

impl<K> Id<K> {
    /// A fresh, time-ordered id.
    pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let mut tail = [0; 10];
        entropy.fill(&mut tail);
        let millis = u64::try_from(clock.now().millis()).unwrap_or_default();
        Self::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The id that a database row holds.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// From the 16 bytes that a database row holds; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self::from_uuid)
    }

    /// The id as databases store it.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The id's 16 bytes, for databases and for associated data.
    pub fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0.simple())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let rest = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(InvalidId)?;
        let id = Uuid::try_parse(rest).map(Self::from_uuid).map_err(|_| InvalidId)?;
        // One id has one spelling: what prints otherwise was not printed by us.
        if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ManualClock, SeededEntropy, Timestamp};

    #[test]
    fn prints_and_parses_only_as_its_own_kind() {
        let clock = ManualClock::at(Timestamp::from_seconds(1));
        let id = TenantId::new(&clock, &SeededEntropy::new(1));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().parse::<ServerId>(), Err(InvalidId));
        assert_eq!(id.to_string().to_uppercase().parse::<TenantId>(), Err(InvalidId));
    }
}
