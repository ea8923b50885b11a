use std::sync::Arc;

use oauth2::AuthType;
use registry::Claims;
use storage::repo::{Connection, ConnectionKind};
use url::{Host, Url};

pub(super) use super::issuer::Issuer;
use super::{error::ConnectError, exchange, github, leg::Leg, oidc};
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
    /// Google, or any OpenID Connect issuer.
    Oidc { endpoints: OauthEndpoints, issuer: Arc<Issuer> },
}

impl Provider {
    /// The provider of a connection. Reads an issuer's metadata, if they are not known yet.
    pub(super) async fn of(auth: &Auth, connection: &Connection) -> Result<Self, ConnectError> {
        let known = &connection.endpoints;
        let issuer = match connection.kind {
            ConnectionKind::Github => return github::provider(known),
            ConnectionKind::Google => known.issuer.as_deref().unwrap_or(oidc::GOOGLE),
            ConnectionKind::Oidc => known.issuer.as_deref().ok_or(ConnectError::Misconfigured("it has no issuer"))?,
        };
        let issuer = auth.issuers.get(&auth.outbound, issuer).await?;
        Ok(Self::Oidc { endpoints: oidc::endpoints(&issuer.metadata), issuer })
    }

    pub(super) fn endpoints(&self) -> &OauthEndpoints {
        match self {
            Self::Github { endpoints, .. } | Self::Oidc { endpoints, .. } => endpoints,
        }
    }

    /// The issuer, for providers that speak OpenID Connect.
    pub(super) fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Github { .. } => None,
            Self::Oidc { issuer, .. } => Some(issuer),
        }
    }

    /// What we ask for.
    pub(super) fn scopes(&self) -> &'static [&'static str] {
        match self {
            Self::Github { .. } => &["read:user", "user:email"],
            Self::Oidc { .. } => &["openid", "profile", "email"],
        }
    }

    /// Exchanges the code and asks who the person is.
    pub(super) async fn identity(
        &self,
        auth: &Auth,
        connection: &Connection,
        leg: &Leg,
        code: &str,
    ) -> Result<Claims, ConnectError> {
        let tokens = exchange::redeem(auth, connection, self.endpoints(), code, &leg.verifier).await?;
        match self {
            Self::Github { api, .. } => github::identity(&auth.outbound, api, &tokens.access).await,
            Self::Oidc { issuer, .. } => oidc::identity(auth, connection, issuer, &leg.nonce, &tokens).await,
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
