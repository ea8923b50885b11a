//! The guard in front of MCP endpoints: from a bearer token to who it acts for.

mod answers;
mod claims;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_kit::Origins;
use model::{Clock, Principal, ResourcePath, Timestamp};
use moka::sync::Cache;
use registry::Directory;
use sha2::{Digest as _, Sha256};

use self::answers::Answers;
pub(crate) use self::claims::{AccessClaims, Verified};
use crate::{Authorized, IssuerMode, Watch, follow::Snapshot, issuer::is_issuer, uses::Uses};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// How many verified tokens are remembered.
const REMEMBERED: u64 = 50_000;
/// How far clocks of replicas may differ, in seconds.
const SKEW: i64 = 30;

/// Checks requests to MCP endpoints. Cheap to clone; synchronous, without I/O.
///
/// Invariants:
/// - Only the verification of a signature is remembered. Expiry, revocation, the person's state and their
///   membership are looked at on every request.
/// - An anonymous caller gets the same bytes whether or not there is a server.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    snapshot: Arc<Snapshot>,
    uses: Arc<Uses>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    issuers: IssuerMode,
    origins: Arc<Origins>,
    answers: Answers,
    /// By SHA-256 of the token. Successes only: a failure costs its sender, not a place.
    verified: Cache<[u8; 32], Arc<Verified>>,
}

impl Inner {
    /// A key that is gone takes its tokens along, verified before or not.
    fn is_revoked(&self, token: &Verified) -> bool {
        self.snapshot.keys().verifier(&token.kid).is_none()
            || self.snapshot.is_revoked(token.grant, token.version, token.id)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("origin", &self.0.origins.mcp).finish_non_exhaustive()
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token: 401 without an error (RFC 6750 §3.1).
    NoToken,
    /// The request is malformed: 400.
    Malformed(&'static str),
    /// The token is no good for this resource: 401.
    BadToken(&'static str),
    /// The token is good and the person may not (any more): 403 that asking for scopes cannot cure.
    NotAllowed,
}

impl Guard {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        uses: Arc<Uses>,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        issuers: IssuerMode,
        origins: Arc<Origins>,
    ) -> Self {
        let answers = Answers::new(&origins.mcp);
        let verified = Cache::builder().max_capacity(REMEMBERED).build();
        Self(Arc::new(Inner { snapshot, uses, directory, clock, issuers, origins, answers, verified }))
    }

    /// Lets a request through, or answers it. `query` is the query of its URL.
    #[expect(clippy::result_large_err, reason = "the answer is moved on at once, and a box is an allocation")]
    pub fn check(
        &self,
        headers: &HeaderMap,
        path: &ResourcePath,
        query: Option<&str>,
    ) -> Result<Authorized, Response<Bytes>> {
        self.judge(headers, path, query).map_err(|refusal| self.0.answers.refuse(path, refusal))
    }

    /// Whether a request that was let through would be let through now: for answers that take long. When its
    /// token ends is not asked.
    pub fn still_admits(&self, who: &Authorized, path: &ResourcePath) -> bool {
        let directory = &*self.0.directory;
        // Only people get past `admit`.
        let Some(id) = who.principal.user() else { return false };
        let server = directory.resolve(path);
        let role = directory.role(who.tenant, id);
        !who.token.as_ref().is_some_and(|token| self.0.is_revoked(token))
            && server.is_some_and(|server| server.id == who.server && server.tenant == who.tenant)
            && directory.user_active(id)
            && role.is_some_and(model::Role::may_call)
    }

    /// What says when to ask [`still_admits`](Self::still_admits) about a request that was let through.
    pub fn watch(&self, who: &Authorized) -> Watch {
        self.0.snapshot.watchers().watch(who)
    }

    /// The answer to a request whose token lacks scopes. `needed` are all scopes of the operation,
    /// space-separated: a client asks for exactly those (SEP-2350).
    pub fn insufficient_scope(&self, path: &ResourcePath, needed: &str) -> Response<Bytes> {
        self.0.answers.insufficient_scope(path, needed)
    }

    fn judge(&self, headers: &HeaderMap, path: &ResourcePath, query: Option<&str>) -> Result<Authorized, Refusal> {
        if query.is_some_and(has_access_token) {
            return Err(Refusal::Malformed("a token must not be in the query"));
        }
        let token = bearer(headers)?;
        let verified = self.verify(token)?;
        self.admit(&verified, path)
    }

    /// Checks what cannot change: the signature and the form of the claims.
    fn verify(&self, token: &str) -> Result<Arc<Verified>, Refusal> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(verified) = self.0.verified.get(&key) {
            return Ok(verified);
        }
        let keys = self.0.snapshot.keys();
        let verified = claims::verify(token, &keys).ok_or(Refusal::BadToken("the token is not valid"))?;
        let verified = Arc::new(verified);
        self.0.verified.insert(key, Arc::clone(&verified));
        Ok(verified)
    }

    /// Checks what can change, against this request's resource.
    fn admit(&self, token: &Arc<Verified>, path: &ResourcePath) -> Result<Authorized, Refusal> {
        let Inner { directory, clock, issuers, origins, .. } = &*self.0;
        let now = clock.now().seconds();
        if !is_issuer(&token.issuer, *issuers, &origins.auth, path) {
            return Err(Refusal::BadToken("the token is another issuer's"));
        }
        if !is_resource(&token.audience, &origins.mcp, path) {
            return Err(Refusal::BadToken("the token is for another resource"));
        }
        if token.expires <= now - SKEW {
            return Err(Refusal::BadToken("the token has expired"));
        }
        if token.issued > now + SKEW {
            return Err(Refusal::BadToken("the token is not valid yet"));
        }
        if self.0.is_revoked(token) {
            return Err(Refusal::BadToken("the token was revoked"));
        }
        let server = directory.resolve(path).ok_or(Refusal::NotAllowed)?;
        if server.id != token.server || server.tenant != token.tenant {
            return Err(Refusal::BadToken("the token is for another resource"));
        }
        let role = directory.role(token.tenant, token.user);
        if !directory.user_active(token.user) || !role.is_some_and(model::Role::may_call) {
            return Err(Refusal::NotAllowed);
        }
        if !token.noted.load(Ordering::Relaxed) && self.0.uses.note(token.id) {
            token.noted.store(true, Ordering::Relaxed);
        }
        Ok(Authorized {
            principal: Principal::User { id: token.user },
            tenant: token.tenant,
            server: token.server,
            scopes: Arc::clone(&token.scopes),
            client_id: Arc::clone(&token.client_id),
            grant: Some(token.grant),
            token: Some(Arc::clone(token)),
            expires: Timestamp::from_seconds(token.expires),
        })
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
    let value = sent.next().ok_or(Refusal::NoToken)?;
    if sent.next().is_some() {
        return Err(Refusal::Malformed("there is more than one Authorization header"));
    }
    let malformed = Refusal::Malformed("the Authorization header is not correct");
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(malformed)?;
    let token = token.trim_start_matches(' ');
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(legal) {
        return Err(malformed);
    }
    if token.len() > MAX_TOKEN { Err(Refusal::BadToken("the token is not valid")) } else { Ok(token) }
}

/// Whether a query has a parameter `access_token`, however it is spelt.
fn has_access_token(query: &str) -> bool {
    !query.is_empty()
        && query.split('&').any(|pair| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            name == "access_token" || (name.contains('%') && decodes_to_access_token(name))
        })
}

fn decodes_to_access_token(name: &str) -> bool {
    url::form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == "access_token")
}

/// Whether `audience` is the resource at `path` of `origin`, byte for byte, without building the URL.
fn is_resource(audience: &str, origin: &str, path: &ResourcePath) -> bool {
    audience
        .strip_prefix(origin)
        .and_then(|rest| rest.strip_prefix("/t/"))
        .and_then(|rest| rest.strip_prefix(path.tenant.as_str()))
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.strip_prefix(path.server.as_str()))
        == Some("/mcp")
}

#[cfg(test)]
mod tests;
