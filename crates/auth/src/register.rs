//! `POST /oauth/register`: clients that register themselves (RFC 7591), and what they do with their
//! registration later (RFC 7592).
//!
//! Invariant: what a client says about itself decides nothing but where answers may go, and is shown as
//! what it says.

mod answer;
mod manage;
pub(crate) mod read;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use http_kit::ClientAddress;
use model::random_token;
use protocol::oauth::{Error, ErrorCode, RegistrationRequest, strict_json};
use serde::de::DeserializeOwned;
use storage::repo::{Actor, AuthMethod, Client, ClientOrigin, RegistrationCap};

pub(crate) use self::manage::{MANAGE_PATH, delete, get, put};
use self::{
    answer::{Fresh, registration},
    read::Wanted,
};
use crate::{
    Auth,
    client::{self, hash},
    issuer::Issuer,
    token::Failure,
};

pub(crate) const PATH: &str = "/oauth/register";
/// The longest body that is read (oauth.md §4.2).
const MAX_BODY: usize = 64 * 1024;
/// How deep a body may be nested.
const MAX_DEPTH: usize = 8;

pub(crate) async fn post(State(auth): State<Auth>, issuer: Issuer, from: ClientAddress, request: Request) -> Response {
    match register(&auth, &issuer, from, request).await {
        Ok(registered) => registered,
        Err(failure) => failure.response(),
    }
}

async fn register(auth: &Auth, issuer: &Issuer, from: ClientAddress, request: Request) -> Result<Response, Failure> {
    if !auth.config.registration.open {
        let why = "clients cannot register themselves here";
        return Err(Error::new(ErrorCode::AccessDenied, why).into());
    }
    let (parts, body) = request.into_parts();
    let wanted = wanted(auth, &body_of::<RegistrationRequest>(&parts.headers, body).await?)?;
    // Only what could be registered counts against the limits.
    auth.registrations_by_address.take(&from.neighbourhood().to_string()).await?;
    if let Err(spent) = auth.registrations.take("all").await {
        tracing::warn!("clients register themselves faster than the whole installation allows");
        return Err(spent.into());
    }
    create(auth, issuer, wanted).await
}

/// What a registration asks for, if it can be had.
fn wanted(auth: &Auth, request: &RegistrationRequest) -> Result<Wanted, Error> {
    let wanted = read::read(request, &auth.config.private_redirects)?;
    if wanted.redirect_uris.iter().any(|uri| client::is_ours(auth, uri)) {
        let why = "a redirect URI must not be an address of this authorization server";
        return Err(Error::new(ErrorCode::InvalidRedirectUri, why));
    }
    Ok(wanted)
}

/// Reads a body of JSON. A member that is there twice is refused, whatever it is called.
async fn body_of<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    let bad = |why| Error::new(ErrorCode::InvalidClientMetadata, why);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(bad("the body must be JSON").into());
    }
    let body = to_bytes(body, MAX_BODY).await;
    let body = body.map_err(|_| Error::new(ErrorCode::TooLarge, "the body is too long or was cut off"))?;
    let value =
        strict_json(&body, MAX_DEPTH).map_err(|_| bad("the body is not JSON, too deep, or says a thing twice"))?;
    Ok(serde_json::from_value(value).map_err(|_| bad("the body is not client metadata"))?)
}

/// Every registration gets an id of its own, also if another one says the same: ids that two share would
/// let one act for the other.
async fn create(auth: &Auth, issuer: &Issuer, wanted: Wanted) -> Result<Response, Failure> {
    let now = auth.clock.now();
    let fresh = Fresh {
        secret: has_secret(wanted.auth_method).then(|| random_token(&*auth.entropy, "cs_")),
        token: random_token(&*auth.entropy, "reg_"),
    };
    let client = Client {
        id: auth.id(),
        client_id: issuer.client_id(auth),
        origin: ClientOrigin::Dynamic,
        tenant: None,
        name: wanted.name,
        uri: wanted.uri,
        redirect_uris: wanted.redirect_uris,
        auth_method: wanted.auth_method,
        secret_hash: fresh.secret.as_deref().map(hash),
        scopes: wanted.scopes,
        may_refresh: wanted.may_refresh,
        application_type: wanted.application_type,
        keys: wanted.keys,
        metadata: wanted.metadata,
        registration_hash: Some(hash(&fresh.token)),
        blocked_at: None,
        created_at: now,
        last_used_at: None,
        expires_at: Some(now + auth.config.lifetimes.client_unused),
    };
    let limits = auth.config.registration;
    let cap = RegistrationCap { alive: limits.alive, evictable_before: now - limits.spared };
    let event = auth.audit(Actor::Anonymous, "client.registered", &client.client_id);
    let event = event.with(serde_json::json!({ "name": client.name, "redirect_uris": client.redirect_uris }));
    if !auth.repos.clients.register(&client, cap, &event).await? {
        tracing::warn!(alive = limits.alive, "the limit of self-registered clients is reached");
        return Err(Failure::Wait(limits.spared));
    }
    Ok(registration(issuer, client, &fresh, StatusCode::CREATED))
}

const fn has_secret(method: AuthMethod) -> bool {
    matches!(method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
}

#[cfg(test)]
mod tests;
