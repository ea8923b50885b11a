use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ServerId, UserId};

/// Who a request acts for. The type is part of every key made from it, so that a person and a service
/// with the same name are never one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Principal {
    /// A person.
    User {
        /// Who.
        id: UserId,
    },
    /// A machine: client credentials or an API key.
    Service {
        /// The client's or the key's id.
        id: Box<str>,
    },
    /// A subject of another issuer, on a server that trusts that issuer.
    External {
        /// The server that trusts the issuer.
        server: ServerId,
        /// The issuer, exactly.
        issuer: Box<str>,
        /// The issuer's name for the subject.
        subject: Box<str>,
    },
}

impl Principal {
    /// The person, when it is one.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::User { id } => Some(*id),
            Self::Service { .. } | Self::External { .. } => None,
        }
    }
}

/// A text that no two principals share, for keys and associated data.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { id } => write!(f, "user:{id}"),
            Self::Service { id } => write!(f, "service:{id}"),
            Self::External { server, issuer, subject } => {
                write!(f, "external:{server}:{}:{issuer}:{subject}", issuer.len())
            }
        }
    }
}
