use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a member may do in a tenant. Ordered: a greater role may all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees the tenant and its servers, and cannot call them.
    Viewer,
    /// Uses servers.
    Member,
    /// Registers servers.
    Developer,
    /// Manages members, connections and settings.
    Admin,
    /// May everything, and cannot be removed by an admin.
    Owner,
}

/// The text is not a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, admin, developer, member or viewer")]
pub struct InvalidRole;

impl Role {
    /// The role as it stands in files, databases and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Whether this role may call servers.
    pub fn may_call(self) -> bool {
        self >= Self::Member
    }

    /// Whether this role may register servers and change them.
    pub fn may_develop(self) -> bool {
        self >= Self::Developer
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        [Self::Viewer, Self::Member, Self::Developer, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(InvalidRole)
    }
}
