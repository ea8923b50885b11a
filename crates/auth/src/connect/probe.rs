//! Looking at a connection before anybody signs in through it: whether it is there, whether we may connect to it,
//! and whether it says about itself what it should.

use std::error::Error as _;

use storage::repo::{Connection, ConnectionKind};
use url::Url;

use super::{error::ConnectError, provider::Provider};
use crate::Auth;

/// What was found at the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Where browsers are sent.
    pub authorize: String,
    /// Where codes are exchanged.
    pub token: String,
    /// How the provider calls itself, if it does.
    pub issuers: Vec<String>,
    /// Whether it says that it names itself in its answers (RFC 9207).
    pub names_itself: bool,
    /// What is not as it should be, and does not stop anybody from signing in.
    pub warnings: Vec<&'static str>,
}

impl Auth {
    /// Asks the other end of a connection about itself, anew. An error is a sentence for whoever set it up.
    ///
    /// Every address is connected to through the outbound guard, so that one that may not be connected to is
    /// refused here and not at the first sign-in.
    pub async fn probe(&self, connection: &Connection) -> Result<Probe, String> {
        self.issuers.forget();
        let found = async {
            let provider = Provider::of(self, connection).await?;
            self.look_at(connection, &provider).await
        };
        found.await.map_err(|error| sentence(&error))
    }

    /// Where a connection's provider sends browsers back to: what has to be registered there.
    pub fn callback_address(&self, connection: &Connection) -> String {
        super::redirect_uri(self, connection)
    }

    async fn look_at(&self, connection: &Connection, provider: &Provider) -> Result<Probe, ConnectError> {
        let endpoints = provider.endpoints();
        let mut warnings = Vec::new();
        if let Provider::Oidc { issuer, .. } = provider {
            if issuer.keys(&self.outbound, true).await?.is_empty() {
                return Err(ConnectError::Malformed("issuer's keys", "there is none that we can use"));
            }
            match issuer.checks_pkce() {
                Some(true) => {}
                Some(false) => warnings.push("It does not say that it checks PKCE with S256."),
                None => warnings.push("It does not say whether it checks PKCE."),
            }
        }
        self.reach(&endpoints.token, "token endpoint").await?;
        for address in [&connection.endpoints.userinfo, &connection.endpoints.api].into_iter().flatten() {
            let address = Url::parse(address).map_err(|_| ConnectError::Misconfigured("an address is no URL"))?;
            self.reach(&address, "address of user information").await?;
        }
        if connection.kind == ConnectionKind::Oauth && connection.endpoints.email_verified.is_none() {
            warnings.push("Nothing says which e-mail addresses are verified, so rules about domains never hold.");
        }
        Ok(Probe {
            authorize: endpoints.authorize.to_string(),
            token: endpoints.token.to_string(),
            issuers: provider.issuers(),
            names_itself: provider.names_itself(),
            warnings,
        })
    }

    /// Opens a connection and closes it.
    async fn reach(&self, address: &Url, what: &'static str) -> Result<(), ConnectError> {
        let connected = self.outbound.connector().connect(address).await;
        connected.map(drop).map_err(|source| ConnectError::Unreachable(what, source))
    }
}

/// An error with its reasons. Nothing of it came from outside but names of ours.
fn sentence(error: &ConnectError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
