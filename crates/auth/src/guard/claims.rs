//! Access tokens as they are written and read (RFC 9068).

use std::sync::{Arc, atomic::AtomicBool};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{GrantId, ScopeSet, ServerId, TenantId, TokenId, UserId};
use serde::{Deserialize, Serialize};

use crate::keys::{ACCESS_TOKEN, KeySet};

/// The claims of an access token. All are required, each with its one JSON type.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccessClaims {
    /// Our issuer, exactly.
    pub(crate) iss: String,
    /// The person.
    pub(crate) sub: UserId,
    /// The resource: one string, never a list.
    pub(crate) aud: String,
    /// The application.
    pub(crate) client_id: String,
    /// Its own name.
    pub(crate) jti: TokenId,
    /// Issued at, in seconds.
    pub(crate) iat: i64,
    /// Expires at, in seconds.
    pub(crate) exp: i64,
    /// What it grants.
    pub(crate) scope: ScopeSet,
    /// The tenant. By id: `aud` has slugs, and slugs can be renamed.
    pub(crate) tenant: TenantId,
    /// The server.
    pub(crate) srv: ServerId,
    /// The grant.
    pub(crate) gid: GrantId,
    /// The version of the grant that it was minted from.
    pub(crate) gv: u32,
}

/// Exactly what we write: a header with anything more (`jwk`, `jku`, `x5u`, `crit`, …) is not ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// A token whose signature and form are right.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(super) issuer: Box<str>,
    pub(super) kid: Box<str>,
    pub(super) user: UserId,
    pub(super) audience: Box<str>,
    pub(super) client_id: Arc<str>,
    pub(super) issued: i64,
    pub(super) expires: i64,
    pub(super) scopes: Arc<ScopeSet>,
    pub(super) tenant: TenantId,
    pub(super) server: ServerId,
    pub(super) grant: GrantId,
    pub(super) version: u32,
    pub(crate) id: TokenId,
    /// Whether it was noted that it is in use.
    pub(super) noted: AtomicBool,
}

/// Reads a token of ours; `None` for anything else. The algorithm comes from our key, never from the
/// token: its `alg` must say the same.
pub(super) fn verify(token: &str, keys: &KeySet) -> Option<Verified> {
    let (message, signature) = token.rsplit_once('.')?;
    let (head, payload) = message.split_once('.')?;
    if payload.contains('.') {
        return None;
    }
    let head = URL_SAFE_NO_PAD.decode(head).ok()?;
    let head: TokenHeader<'_> = serde_json::from_slice(&head).ok()?;
    let typ = head.typ.strip_prefix("application/").unwrap_or(head.typ);
    let verifier = keys.verifier(head.kid)?;
    let algorithm = verifier.algorithm;
    if head.alg != algorithm.as_str() || !typ.eq_ignore_ascii_case(ACCESS_TOKEN) {
        return None;
    }
    let genuine = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &verifier.key, algorithm.jose());
    if !genuine.is_ok_and(|genuine| genuine) {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: AccessClaims = serde_json::from_slice(&payload).ok()?;
    Some(Verified {
        issuer: claims.iss.into(),
        kid: head.kid.into(),
        user: claims.sub,
        audience: claims.aud.into(),
        client_id: claims.client_id.into(),
        issued: claims.iat,
        expires: claims.exp,
        scopes: Arc::new(claims.scope),
        tenant: claims.tenant,
        server: claims.srv,
        grant: claims.gid,
        version: claims.gv,
        id: claims.jti,
        noted: AtomicBool::new(false),
    })
}
