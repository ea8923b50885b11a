//! The words that databases, files and pages have for states and kinds.

use std::{fmt, str::FromStr};

use super::{
    Actor, ApplicationType, AuthMethod, ClientOrigin, ConnectionKind, KeyState, PolicyMode, RuleKind, ServerState,
    SignInMethod, TenantState, UserState,
};
use crate::ChangeKind;

/// The text is not one of the words for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of the words for this")]
pub struct UnknownWord;

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal,)* })*) => {$(
        impl $name {
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord),
                }
            }
        }
    )*};
}

words! {
    UserState { Active = "active", Blocked = "blocked", }
    TenantState { Active = "active", Suspended = "suspended", }
    ServerState { Draft = "draft", Live = "live", Disabled = "disabled", }
    KeyState { Pending = "pending", Active = "active", Retiring = "retiring", }
    ClientOrigin { Registered = "registered", Dynamic = "dynamic", Document = "document", }
    ConnectionKind { Github = "github", Google = "google", Entra = "entra", Oidc = "oidc", Oauth = "oauth", }
    RuleKind { Domain = "domain", Organisation = "organisation", Team = "team", Group = "group", }
    AuthMethod {
        None = "none",
        ClientSecretBasic = "client_secret_basic",
        ClientSecretPost = "client_secret_post",
        PrivateKeyJwt = "private_key_jwt",
    }
    PolicyMode { Off = "off", Allowlist = "allowlist", Open = "open", }
    ApplicationType { Web = "web", Native = "native", }
    ChangeKind {
        Tenant = "tenant",
        User = "user",
        Connection = "connection",
        Grant = "grant",
        GrantVersion = "grant-version",
        Token = "token",
        SigningKeys = "signing-keys",
        DataKeys = "data-keys",
    }
}

/// `local`, or the connection's id.
impl fmt::Display for SignInMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Connection(id) => id.fmt(f),
        }
    }
}

impl FromStr for SignInMethod {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "local" => Ok(Self::Local),
            id => id.parse().map(Self::Connection).map_err(|_| UnknownWord),
        }
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Actor {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Ok(match text {
            "system" => Self::System,
            "apply" => Self::Apply,
            "anonymous" => Self::Anonymous,
            other => match other.strip_prefix("client:") {
                Some(client) => Self::Client(client.to_owned()),
                None => Self::User(other.parse().map_err(|_| UnknownWord)?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use model::{ConnectionId, ManualClock, SeededEntropy, Timestamp, UserId};

    use super::*;

    #[test]
    fn actors_and_methods_read_back() {
        let (clock, entropy) = (ManualClock::at(Timestamp::from_seconds(1)), SeededEntropy::new(1));
        let user = Actor::User(UserId::new(&clock, &entropy));
        for actor in [Actor::System, Actor::Apply, Actor::Anonymous, user, Actor::Client("usr_x".into())] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for method in [SignInMethod::Local, SignInMethod::Connection(ConnectionId::new(&clock, &entropy))] {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        assert_eq!("nobody".parse::<Actor>(), Err(UnknownWord));
        assert_eq!("usr_1".parse::<SignInMethod>(), Err(UnknownWord));
    }

    #[test]
    fn words_agree_with_the_ones_in_files() {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};
        use ConnectionKind::{Entra, Github, Google, Oauth, Oidc};
        for kind in [Github, Google, Entra, Oidc, Oauth] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for method in [Public, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt] {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
        }
        for mode in [PolicyMode::Off, PolicyMode::Allowlist, PolicyMode::Open] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        for kind in [ApplicationType::Web, ApplicationType::Native] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
