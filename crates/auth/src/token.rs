//! `POST /oauth/token`: codes and refresh tokens for access tokens.
//!
//! Invariants:
//! - The client is authenticated before anything is looked up for it.
//! - Trouble of ours is 503 or 500, never `invalid_grant` or `invalid_client`: clients throw tokens and
//!   registrations away on those.

mod code;
mod mint;
mod refresh;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_kit::{AWAY, ClientAddress, Spent, put_off};
use protocol::oauth::{Error, ErrorCode, InvalidParams, Params, TokenResponse};
use storage::{StorageError, repo::Client};

use crate::{Auth, AuthError, client, issuer::Issuer};

pub(crate) const PATH: &str = "/oauth/token";
/// The longest body that is read.
const MAX_BODY: usize = 32 * 1024;

/// Why a request got no token.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the client hears.
    Error(Error),
    /// The client did not prove itself; `basic` if it tried in the header.
    Client { basic: bool },
    /// Too many requests: wait.
    Wait(std::time::Duration),
    /// The store failed.
    Storage(StorageError),
    /// The token cannot be signed.
    Signing(AuthError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Spent> for Failure {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Wait(wait) => Self::Wait(wait),
            Spent::Away(error) => Self::Storage(error),
        }
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Storage(error) => Self::Storage(error),
            error => Self::Storage(StorageError::unavailable(error)),
        }
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Signing(error)
    }
}

/// `invalid_grant`, with whatever a developer may know.
const fn invalid_grant(why: &'static str) -> Failure {
    Failure::Error(Error::new(ErrorCode::InvalidGrant, why))
}

pub(crate) async fn post(State(auth): State<Auth>, issuer: Issuer, from: ClientAddress, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match answer(&auth, &issuer, from, &parts.headers, body).await {
        Ok(tokens) => success(&tokens),
        Err(failure) => failure.response(),
    }
}

async fn answer(
    auth: &Auth,
    issuer: &Issuer,
    from: ClientAddress,
    headers: &HeaderMap,
    body: Body,
) -> Result<TokenResponse, Failure> {
    auth.token_requests.take(&from.neighbourhood().to_string()).await?;
    let form = form(headers, body).await?;
    let client = client::authenticate(auth, issuer, headers, &form).await?;
    grant(auth, issuer, &client, &form).await
}

async fn grant(auth: &Auth, issuer: &Issuer, client: &Client, form: &Params) -> Result<TokenResponse, Failure> {
    match form.get("grant_type") {
        Some("authorization_code") => code::redeem(auth, issuer, client, form).await,
        Some("refresh_token") => refresh::rotate(auth, issuer, client, form).await,
        Some(_) => Err(Error::new(ErrorCode::UnsupportedGrantType, "this grant_type is not supported").into()),
        None => Err(Error::new(ErrorCode::InvalidRequest, "the grant_type is missing").into()),
    }
}

/// Reads a form, strictly (RFC 6749 §3.2).
async fn form(headers: &HeaderMap, body: Body) -> Result<Params, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Error::new(ErrorCode::InvalidRequest, "the body must be a form").into());
    }
    let body = to_bytes(body, MAX_BODY).await;
    let body = body.map_err(|_| Error::new(ErrorCode::TooLarge, "the body is too long or was cut off"))?;
    let malformed = Error::new(ErrorCode::InvalidRequest, "the form is malformed");
    let text = std::str::from_utf8(&body).map_err(|_| malformed.clone())?;
    Params::parse(text).map_err(|error| match error {
        // RFC 8707 §2.2: more resources than can be granted.
        InvalidParams::Repeated(name) if name == "resource" => {
            Error::new(ErrorCode::InvalidTarget, "a token is for one resource").into()
        }
        InvalidParams::Repeated(_) => Error::new(ErrorCode::InvalidRequest, "a parameter is repeated").into(),
        InvalidParams::Encoding | InvalidParams::TooMany => malformed.into(),
    })
}

fn success(tokens: &TokenResponse) -> Response {
    let body = zeroize::Zeroizing::new(serde_json::to_vec(tokens).expect("a token response is plain JSON"));
    let mut response = Bytes::copy_from_slice(&body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

impl Failure {
    /// The answer, as JSON (RFC 6749 §5.2). Trouble of ours is logged here.
    pub(crate) fn response(self) -> Response {
        let error = match &self {
            Self::Error(error) => error.clone(),
            Self::Client { .. } => {
                Error::new(ErrorCode::InvalidClient, "the client is not known or did not prove itself")
            }
            Self::Wait(_) => Error::new(ErrorCode::SlowDown, "too many requests"),
            Self::Storage(StorageError::Unavailable(_)) | Self::Signing(_) => {
                Error::new(ErrorCode::TemporarilyUnavailable, "try again shortly")
            }
            Self::Storage(_) => Error::new(ErrorCode::ServerError, "something went wrong on our side"),
        };
        match &self {
            Self::Storage(source @ StorageError::Unavailable(_)) => put_off(source),
            Self::Storage(source) => {
                tracing::error!(error = source as &dyn std::error::Error, "no token: the store failed");
            }
            Self::Signing(source) => tracing::error!(error = source as &dyn std::error::Error, "no token: not signed"),
            Self::Error(_) | Self::Client { .. } | Self::Wait(_) => {}
        }
        let mut response = error.response().map(Body::from);
        let headers = response.headers_mut();
        match self {
            Self::Client { basic: true } => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"portico\""));
            }
            Self::Wait(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Self::Storage(StorageError::Unavailable(_)) | Self::Signing(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(AWAY.as_secs()));
            }
            _ => {}
        }
        debug_assert!(response.status() != StatusCode::OK, "a failure is no success");
        response
    }
}

#[cfg(test)]
mod tests;
