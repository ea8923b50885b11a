//! OAuth clients: finding them, matching their redirect URIs, checking their secrets.

use std::time::Duration;

use http::{HeaderMap, header};
use model::Secret;
use protocol::oauth::{ClientCredentials, DocumentUrl, Error, ErrorCode, Params, redirect_matches};
use sha2::{Digest as _, Sha256};
use storage::{
    StorageError,
    repo::{ApplicationType, AuthMethod, Client, ClientKeys, ClientOrigin, TokenHash},
};
use subtle::ConstantTimeEq as _;
use url::Url;

use crate::{
    Auth,
    document::{self, For, NoDocument, Unresolved},
    issuer::Issuer,
    token::Failure,
};

/// The longest `client_id` that is looked up.
const MAX_ID: usize = 512;
/// How long one note of a client's use is good for.
const NOTED_FOR: Duration = Duration::from_hours(24);

/// SHA-256 of a token, a code or a secret: how it is stored and found.
pub(crate) fn hash(secret: &str) -> TokenHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The client of a `client_id`, if there is one and it has not expired. What cannot be one (RFC 6749
/// Appendix A.1) is not looked up: Postgres, for one, has no NUL in its texts, and would refuse the question.
pub(crate) async fn find(auth: &Auth, client_id: &str) -> storage::Result<Option<Client>> {
    if client_id.len() > MAX_ID || !client_id.bytes().all(|byte| matches!(byte, 0x20..=0x7E)) {
        return Ok(None);
    }
    let found = auth.repos.clients.client(client_id, auth.clock.now()).await?;
    // Whoever is blocked is as good as gone.
    Ok(found.filter(|client| client.blocked_at.is_none()))
}

/// The client of a `client_id` of any kind: one of ours, or a metadata document.
pub(crate) async fn resolve(auth: &Auth, client_id: &str, wanted: For<'_>) -> Result<Option<Client>, Unresolved> {
    if DocumentUrl::is_meant(client_id) {
        return document::resolve(auth, client_id, wanted).await.map(Some);
    }
    Ok(find(auth, client_id).await?)
}

/// What a person sees of a client and what decides over it, in 32 bytes: when it has become another, so has the
/// question that they answered.
pub(crate) fn fingerprint(client: &Client) -> [u8; 32] {
    let keys = match &client.keys {
        ClientKeys::None => serde_json::Value::Null,
        ClientKeys::Inline(jwks) => jwks.clone(),
        ClientKeys::At(uri) => uri.as_str().into(),
    };
    let method = client.auth_method.as_str();
    let parts = serde_json::json!([client.client_id, client.name, client.uri, client.redirect_uris, method, keys]);
    Sha256::digest(parts.to_string()).into()
}

/// Notes that a client is in use, and lets it live on. Once a day is enough: lifetimes are in days.
pub(crate) async fn used(auth: &Auth, client: &Client) -> storage::Result<()> {
    if client.origin == ClientOrigin::Document {
        return Ok(());
    }
    let (now, lifetime) = (auth.clock.now(), auth.config.lifetimes.client_used);
    if client.last_used_at.is_some_and(|last| now.since(last) < NOTED_FOR.min(lifetime / 4)) {
        return Ok(());
    }
    // What does not expire goes on not expiring.
    let expires_at = client.expires_at.map(|_| now + lifetime);
    auth.repos.clients.touch(&client.client_id, now, expires_at).await
}

/// The redirect URI that a request means: the one it names, if it is registered, or the only one that is.
/// The second value says whether the request named it.
pub(crate) fn redirect(client: &Client, sent: Option<&str>) -> Option<(String, bool)> {
    let any_port = client.application_type == ApplicationType::Native && client.auth_method == AuthMethod::None;
    match (sent, client.redirect_uris.as_slice()) {
        (Some(sent), registered) => {
            let known = registered.iter().any(|own| redirect_matches(own, sent, any_port));
            known.then(|| (sent.to_owned(), true))
        }
        (None, [only]) => Some((only.clone(), false)),
        (None, _) => None,
    }
}

/// Whether a redirect URI leads to an origin of ours. No client lives there, and a person who reads our
/// own name on the consent page would take the answer for safe.
pub(crate) fn is_ours(auth: &Auth, redirect_uri: &str) -> bool {
    let Ok(url) = Url::parse(redirect_uri) else { return false };
    let (origin, own) = (url.origin().ascii_serialization(), &*auth.origins);
    [&own.auth, &own.mcp, &own.app].into_iter().any(|own| *own == origin)
}

/// How a token request says who sends it.
struct Claimed {
    client_id: String,
    secret: Option<Secret>,
    basic: bool,
}

/// Authenticates the client of a token request (RFC 6749 §2.3). All failures look the same.
pub(crate) async fn authenticate(
    auth: &Auth,
    issuer: &Issuer,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Client, Failure> {
    let claimed = claimed(headers, form)?;
    let client = holder(auth, &claimed.client_id).await?;
    client
        .filter(|client| issuer.has_client(auth, client))
        .filter(|client| proves(client, claimed.secret.as_ref()))
        .ok_or_else(|| refused(claimed.basic))
}

/// The client that somebody who holds a code or a token of it claims to be. A document that is not to be had is
/// no reason to tell a client that it is not known, which would make it throw everything away.
async fn holder(auth: &Auth, client_id: &str) -> Result<Option<Client>, Failure> {
    match resolve(auth, client_id, For::Holder).await {
        Ok(client) => Ok(client),
        Err(Unresolved::Storage(error)) => Err(error.into()),
        Err(Unresolved::Document(NoDocument::Busy(wait))) => Err(Failure::Wait(wait)),
        Err(Unresolved::Document(NoDocument::Unavailable)) => {
            Err(StorageError::unavailable("the client's metadata document is not to be had").into())
        }
        Err(Unresolved::Document(NoDocument::Refused | NoDocument::Invalid(_))) => Ok(None),
    }
}

fn claimed(headers: &HeaderMap, form: &Params) -> Result<Claimed, Failure> {
    let invalid = |why| Failure::Error(Error::new(ErrorCode::InvalidRequest, why));
    let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = sent.next() else {
        let client_id = form.get("client_id").ok_or_else(|| refused(false))?.to_owned();
        let secret = form.get("client_secret").map(|text| Secret::new(text.to_owned()));
        return Ok(Claimed { client_id, secret, basic: false });
    };
    if sent.next().is_some() {
        return Err(invalid("there is more than one Authorization header"));
    }
    let basic = ClientCredentials::from_header(value.as_bytes()).map_err(|_| refused(true))?;
    // RFC 6749 §2.3: one method per request.
    if form.get("client_secret").is_some() {
        return Err(invalid("the client authenticates in two ways"));
    }
    if form.get("client_id").is_some_and(|id| id != basic.client_id) {
        return Err(invalid("the client names itself in two ways"));
    }
    let secret = Some(basic.secret).filter(|secret| !secret.expose().is_empty());
    Ok(Claimed { client_id: basic.client_id, secret, basic: true })
}

/// Whether a client proved itself. A confidential client may send its secret either way, since real ones
/// mix the two up; a public client must not send one.
fn proves(client: &Client, secret: Option<&Secret>) -> bool {
    match (client.auth_method, &client.secret_hash, secret) {
        (AuthMethod::None, None, None) => true,
        (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Some(expected), Some(secret)) => {
            bool::from(hash(secret.expose()).ct_eq(expected))
        }
        _ => false,
    }
}

fn refused(basic: bool) -> Failure {
    Failure::Client { basic }
}
