use std::sync::Arc;

use oauth2::AuthType;
use registry::{Claims, Wanted};
use storage::repo::{Connection, ConnectionKind};
use url::{Host, Url};

pub(super) use super::issuer::Issuer;
use super::{
    entra,
    error::ConnectError,
    exchange, github,
    leg::Leg,
    oauth::{self, Profile},
    oidc::{self, Dialect},
};
use crate::Auth;

/// Where a code is had and where it is exchanged.
#[derive(Clone, Debug)]
pub(super) struct OauthEndpoints {
    pub(super) authorize: Url,
    pub(super) token: Url,
    /// How we prove ourselves at the token endpoint.
    pub(super) auth: AuthType,
}

/// What is at the other end of a connection.
pub(super) enum Provider {
    /// GitHub or GitHub Enterprise.
    Github {
        endpoints: OauthEndpoints,
        /// The base of the API, without a trailing slash.
        api: String,
    },
    /// Google, Entra, or any OpenID Connect issuer.
    Oidc { endpoints: OauthEndpoints, issuer: Arc<Issuer>, dialect: Dialect },
    /// Any OAuth server with an address that says who a token is about.
    Oauth { endpoints: OauthEndpoints, profile: Profile },
}

impl Provider {
    /// The provider of a connection. Reads an issuer's metadata, if they are not known yet.
    pub(super) async fn of(auth: &Auth, connection: &Connection) -> Result<Self, ConnectError> {
        let known = &connection.endpoints;
        let (issuer, dialect) = match connection.kind {
            ConnectionKind::Github => return github::provider(known),
            ConnectionKind::Oauth => return oauth::provider(known),
            ConnectionKind::Google => (known.issuer.as_deref().unwrap_or(oidc::GOOGLE), Dialect::Google),
            ConnectionKind::Entra => {
                let issuer = known.issuer.as_deref().ok_or(ConnectError::Misconfigured("it has no issuer"))?;
                (issuer, Dialect::Entra { directories: entra::directories(known)? })
            }
            ConnectionKind::Oidc => {
                let issuer = known.issuer.as_deref().ok_or(ConnectError::Misconfigured("it has no issuer"))?;
                (issuer, Dialect::Plain { groups: known.groups_claim.clone() })
            }
        };
        let template = matches!(dialect, Dialect::Entra { .. }).then(|| entra::template(issuer)).flatten();
        let issuer = auth.issuers.get(&auth.outbound, issuer, template.as_deref()).await?;
        Ok(Self::Oidc { endpoints: oidc::endpoints(&issuer.metadata), issuer, dialect })
    }

    pub(super) fn endpoints(&self) -> &OauthEndpoints {
        match self {
            Self::Github { endpoints, .. } | Self::Oidc { endpoints, .. } | Self::Oauth { endpoints, .. } => endpoints,
        }
    }

    /// Whether it speaks OpenID Connect, which has a nonce.
    pub(super) fn has_identity_tokens(&self) -> bool {
        matches!(self, Self::Oidc { .. })
    }

    /// What its answers may call it (RFC 9207); empty if it has no name.
    pub(super) fn issuers(&self) -> Vec<String> {
        match self {
            Self::Github { .. } => Vec::new(),
            Self::Oidc { issuer, dialect, .. } => dialect.issuers(&issuer.metadata.issuer),
            Self::Oauth { profile, .. } => profile.issuer.iter().cloned().collect(),
        }
    }

    /// Whether its answers have to name it.
    pub(super) fn names_itself(&self) -> bool {
        match self {
            Self::Github { .. } => false,
            Self::Oidc { issuer, .. } => issuer.metadata.names_itself,
            Self::Oauth { profile, .. } => profile.issuer.is_some(),
        }
    }

    /// What we ask for: no more than the rules about the connection need.
    pub(super) fn scopes(&self, connection: &Connection, wanted: Wanted) -> Vec<String> {
        let own = &connection.endpoints.scopes;
        let usual: &[&str] = match self {
            Self::Github { .. } if wanted.organisations => &["read:user", "user:email", "read:org"],
            Self::Github { .. } => &["read:user", "user:email"],
            Self::Oidc { .. } => &["openid", "profile", "email"],
            Self::Oauth { .. } => &[],
        };
        let more = own.iter().filter(|scope| !usual.contains(&scope.as_str())).cloned();
        usual.iter().map(|&scope| scope.to_owned()).chain(more).collect()
    }

    /// Exchanges the code and asks who the person is.
    pub(super) async fn identity(
        &self,
        auth: &Auth,
        connection: &Connection,
        leg: &Leg,
        code: &str,
        wanted: Wanted,
    ) -> Result<Claims, ConnectError> {
        let tokens = exchange::redeem(auth, connection, self.endpoints(), code, &leg.verifier).await?;
        match self {
            Self::Github { api, .. } => github::identity(&auth.outbound, api, &tokens.access, wanted).await,
            Self::Oauth { profile, .. } => oauth::identity(&auth.outbound, profile, &tokens.access).await,
            Self::Oidc { issuer, dialect, .. } => {
                let told = oidc::Told { tokens: &tokens, nonce: &leg.nonce, wanted };
                oidc::identity(auth, connection, issuer, dialect, told).await
            }
        }
    }
}

/// A URL that we may send browsers or secrets to: https, or http on this machine, which only development
/// has; whether we connect there is the outbound guard's decision.
pub(super) fn acceptable(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let this_machine = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && this_machine);
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (safe && plain).then_some(url)
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_or_here() {
        for good in ["https://idp.example/a?b=c", "http://127.0.0.1:9/a", "http://localhost/a", "http://[::1]:9/"] {
            assert!(acceptable(good).is_some(), "{good}");
        }
        for bad in [
            "http://idp.example/a",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "ftp://a/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://u:p@idp.example/",
            "https://idp.example/#x",
            "/a",
            "",
            "file:///etc/passwd",
        ] {
            assert!(acceptable(bad).is_none(), "{bad}");
        }
    }
}
