//! Legacy session ids: the upstream's own id travels to the client inside a sealed token and comes back in
//! it, so that any replica serves any request and nothing is stored.

use http::{HeaderMap, HeaderValue};
use model::{Clock, Principal, Timestamp, UpstreamSource};
use protocol::mcp::header;
use storage::{SealedTokens, TokenKind, repo::LiveServer};

use crate::Limits;

/// The longest upstream id that is sealed, in bytes: the token has to fit into a header.
const MAX_ID: usize = 512;

/// Why there is no session id for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The upstream's id is longer than what fits.
    TooLong,
    /// It is not visible ASCII (2025-11-25, transports, "Session management").
    Illegal,
}

/// Whom a session belongs to. A token opens for the same tenant, server, upstream origin, principal and
/// client, and for nobody else.
pub(crate) struct Binding<'a> {
    pub(crate) server: &'a LiveServer,
    pub(crate) principal: &'a Principal,
    pub(crate) client: &'a str,
}

impl Binding<'_> {
    fn with<T>(&self, use_it: impl FnOnce(&[&[u8]]) -> T) -> T {
        let origin = match &self.server.source {
            UpstreamSource::Http { url } => url.origin().ascii_serialization(),
            UpstreamSource::Builtin { name } => format!("builtin:{name}"),
        };
        let principal = self.principal.to_string();
        use_it(&[
            self.server.tenant.bytes(),
            self.server.id.bytes(),
            origin.as_bytes(),
            principal.as_bytes(),
            self.client.as_bytes(),
        ])
    }

    /// The upstream's id in what the client sent: `None` for a token that is not this client's, not for
    /// this server, expired, or no token at all.
    pub(crate) fn open(&self, tokens: &SealedTokens, sent: &HeaderValue, now: Timestamp) -> Option<HeaderValue> {
        let sent = sent.to_str().ok()?;
        let id = self.with(|binding| tokens.open(TokenKind::Session, binding, sent, now))?;
        HeaderValue::from_bytes(&id).ok().map(sensitive)
    }

    /// What the client gets for the upstream's id.
    pub(crate) fn seal(
        &self,
        tokens: &SealedTokens,
        id: &HeaderValue,
        clock: &dyn Clock,
        limits: &Limits,
    ) -> Result<HeaderValue, Unusable> {
        let id = id.as_bytes();
        if id.len() > MAX_ID {
            return Err(Unusable::TooLong);
        }
        if id.is_empty() || !id.iter().all(u8::is_ascii_graphic) {
            return Err(Unusable::Illegal);
        }
        let expires = clock.now() + limits.session;
        let token = self.with(|binding| tokens.seal(TokenKind::Session, binding, id, expires));
        HeaderValue::from_str(&token).map(sensitive).map_err(|_| Unusable::Illegal)
    }
}

/// Whether the client names a session, and which. `Err` when it names two.
pub(crate) fn sent(headers: &HeaderMap) -> Result<Option<&HeaderValue>, ()> {
    let mut values = headers.get_all(header::SESSION_ID).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(()),
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
