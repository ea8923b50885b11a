//! `POST /oauth/register`: clients that register themselves (RFC 7591).
//!
//! Invariant: what a client says about itself decides nothing but where answers may go, and is shown as
//! what it says.

mod read;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use http_kit::ClientAddress;
use model::{Scope, random_token};
use protocol::oauth::{Error, ErrorCode, RegistrationRequest, RegistrationResponse};
use storage::repo::{Actor, ApplicationType, AuthMethod, Client, ClientKeys, ClientMetadata, ClientOrigin};

use self::read::Wanted;
use crate::{
    Auth,
    client::{self, hash},
    token::Failure,
};

pub(crate) const PATH: &str = "/oauth/register";
/// The longest body that is read (oauth.md §4.2).
const MAX_BODY: usize = 64 * 1024;

pub(crate) async fn post(State(auth): State<Auth>, from: ClientAddress, request: Request) -> Response {
    match register(&auth, from, request).await {
        Ok(registered) => created(&registered),
        Err(failure) => failure.response(),
    }
}

async fn register(auth: &Auth, from: ClientAddress, request: Request) -> Result<RegistrationResponse, Failure> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Error::new(ErrorCode::InvalidClientMetadata, "the body must be JSON").into());
    }
    let body = read_body(body).await?;
    let request: RegistrationRequest = serde_json::from_slice(&body)
        .map_err(|_| Error::new(ErrorCode::InvalidClientMetadata, "the body is not client metadata"))?;
    let wanted = read::read(&request, &auth.config.private_redirects)?;
    if wanted.redirect_uris.iter().any(|uri| client::is_ours(auth, uri)) {
        let why = "a redirect URI must not be an address of this authorization server";
        return Err(Error::new(ErrorCode::InvalidRedirectUri, why).into());
    }
    // Only what could be registered counts against the limits.
    auth.registrations_by_address.take(&from.neighbourhood().to_string()).map_err(Failure::Wait)?;
    auth.registrations.take("all").map_err(Failure::Wait)?;
    let now = auth.clock.now();
    if auth.repos.clients.count_dynamic(now).await? >= auth.config.registration.alive {
        tracing::warn!("the limit of self-registered clients is reached");
        return Err(Failure::Wait(std::time::Duration::from_hours(1)));
    }
    create(auth, wanted).await
}

async fn read_body(body: Body) -> Result<bytes::Bytes, Failure> {
    let too_large = |_| Error::new(ErrorCode::TooLarge, "the body is too long or was cut off").into();
    to_bytes(body, MAX_BODY).await.map_err(too_large)
}

/// Every registration gets an id of its own, also if another one says the same: ids that two share would
/// let one act for the other.
async fn create(auth: &Auth, wanted: Wanted) -> Result<RegistrationResponse, Failure> {
    let now = auth.clock.now();
    let secret = (wanted.auth_method != AuthMethod::None).then(|| random_token(&*auth.entropy, "cs_"));
    let client = Client {
        id: auth.id(),
        client_id: random_token(&*auth.entropy, "c_"),
        origin: ClientOrigin::Dynamic,
        tenant: None,
        name: wanted.name,
        uri: wanted.uri,
        redirect_uris: wanted.redirect_uris,
        auth_method: wanted.auth_method,
        secret_hash: secret.as_deref().map(hash),
        scopes: wanted.scopes,
        may_refresh: wanted.may_refresh,
        application_type: wanted.application_type,
        keys: ClientKeys::None,
        metadata: ClientMetadata::default(),
        registration_hash: None,
        blocked_at: None,
        created_at: now,
        last_used_at: None,
        expires_at: Some(now + auth.config.lifetimes.client_unused),
    };
    let event = auth.audit(Actor::Anonymous, "client.registered", &client.client_id);
    let event = event.with(serde_json::json!({ "name": client.name, "redirect_uris": client.redirect_uris }));
    auth.repos.clients.create(&client, &event).await?;
    Ok(response(client, secret))
}

fn response(client: Client, secret: Option<String>) -> RegistrationResponse {
    let mut grant_types = vec!["authorization_code"];
    if client.may_refresh {
        grant_types.push("refresh_token");
    }
    RegistrationResponse {
        client_id: client.client_id,
        client_id_issued_at: client.created_at.seconds(),
        client_secret_expires_at: secret.as_ref().map(|_| 0),
        client_secret: secret,
        client_name: client.name,
        client_uri: client.uri,
        redirect_uris: client.redirect_uris,
        token_endpoint_auth_method: match client.auth_method {
            AuthMethod::None => "none",
            AuthMethod::ClientSecretBasic => "client_secret_basic",
            AuthMethod::ClientSecretPost => "client_secret_post",
            AuthMethod::PrivateKeyJwt => "private_key_jwt",
        },
        grant_types,
        response_types: vec!["code"],
        scope: client.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "),
        application_type: match client.application_type {
            ApplicationType::Web => "web",
            ApplicationType::Native => "native",
        },
    }
}

fn created(registered: &RegistrationResponse) -> Response {
    let body = serde_json::to_vec(registered).expect("a registration is plain JSON");
    let mut response = (StatusCode::CREATED, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
