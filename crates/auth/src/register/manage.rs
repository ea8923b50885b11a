//! `GET`, `PUT` and `DELETE /oauth/register/{client_id}`: what a client does with its registration (RFC 7592).
//!
//! Invariants:
//! - Whoever has not the client's own token learns nothing: an unknown client, a missing token and a wrong one get
//!   the same answer (RFC 7592 §2.1).
//! - A change never gives a client more than it had: neither scopes nor grant types, nor a weaker way to
//!   prove itself.

use axum::{
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_kit::ClientAddress;
use model::{Scope, random_token};
use protocol::oauth::{Error, ErrorCode, RegistrationManagement, RegistrationRequest};
use serde_json::Value;
use storage::repo::{Actor, AuthMethod, Client, ClientOrigin};
use subtle::ConstantTimeEq as _;

use super::{
    answer::{Fresh, registration},
    body_of, has_secret,
    read::Wanted,
    wanted,
};
use crate::{
    Auth,
    client::{self, hash},
    issuer::Issuer,
    token::Failure,
};

pub(crate) const MANAGE_PATH: &str = "/oauth/register/{client_id}";

/// The registration that a path names; of whose issuer, the path says as well.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Named {
    client_id: String,
}

pub(crate) async fn get(
    State(auth): State<Auth>,
    issuer: Issuer,
    from: ClientAddress,
    Path(Named { client_id }): Path<Named>,
    headers: HeaderMap,
) -> Response {
    match authenticate(&auth, &issuer, from, &client_id, &headers).await {
        Ok((client, token)) => registration(&issuer, client, &Fresh { secret: None, token }, StatusCode::OK),
        Err(refused) => refused,
    }
}

pub(crate) async fn put(
    State(auth): State<Auth>,
    issuer: Issuer,
    from: ClientAddress,
    Path(Named { client_id }): Path<Named>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let (client, _) = match authenticate(&auth, &issuer, from, &client_id, &parts.headers).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let changed = async {
        let body: Value = body_of(&parts.headers, body).await?;
        change(&auth, &issuer, client, &body).await
    };
    changed.await.unwrap_or_else(Failure::response)
}

pub(crate) async fn delete(
    State(auth): State<Auth>,
    issuer: Issuer,
    from: ClientAddress,
    Path(Named { client_id }): Path<Named>,
    headers: HeaderMap,
) -> Response {
    let client = match authenticate(&auth, &issuer, from, &client_id, &headers).await {
        Ok((client, _)) => client,
        Err(refused) => return refused,
    };
    let actor = Actor::Client(client.client_id.clone());
    let event = auth.audit(actor, "client.deleted", &client.client_id);
    match auth.repos.clients.delete(&client.client_id, &event).await {
        Ok(_) => {
            auth.sync().await;
            (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response()
        }
        Err(error) => Failure::from(error).response(),
    }
}

/// The client whose registration token the request has, and that token; or the answer to everybody else.
async fn authenticate(
    auth: &Auth,
    issuer: &Issuer,
    from: ClientAddress,
    client_id: &str,
    headers: &HeaderMap,
) -> Result<(Client, String), Response> {
    let allowed = auth.token_requests.take(&from.neighbourhood().to_string()).await;
    allowed.map_err(|spent| Failure::from(spent).response())?;
    let found = client::find(auth, client_id).await.map_err(|error| Failure::from(error).response())?;
    let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
    let token = match (sent.next(), sent.next()) {
        (Some(one), None) => one.to_str().ok().and_then(bearer),
        _ => None,
    };
    // The token of a client that is not there is compared as well: the answer takes as long.
    let hashed = hash(token.unwrap_or_default());
    let client = found.filter(|client| client.origin == ClientOrigin::Dynamic && issuer.has_client(auth, client));
    let expected = client.as_ref().and_then(|client| client.registration_hash);
    let proved = bool::from(hashed.ct_eq(&expected.unwrap_or_default())) && expected.is_some();
    match (client, token) {
        (Some(client), Some(token)) if proved => Ok((client, token.to_owned())),
        _ => Err(refused()),
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token).filter(|token| !token.is_empty())
}

fn refused() -> Response {
    let mut response = Error::new(ErrorCode::InvalidToken, "the registration token is not valid").response();
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response.map(axum::body::Body::from)
}

/// Writes a whole new registration over the old one, with a new token.
async fn change(auth: &Auth, issuer: &Issuer, client: Client, body: &Value) -> Result<Response, Failure> {
    let unreadable = |_| Error::new(ErrorCode::InvalidClientMetadata, "the body is not client metadata");
    let request: RegistrationRequest = serde_json::from_value(body.clone()).map_err(unreadable)?;
    let management: RegistrationManagement = serde_json::from_value(body.clone()).map_err(unreadable)?;
    check(&client, &management)?;
    let wanted = wanted(auth, &request)?;
    narrower(&client, &wanted, request.scope.is_some())?;
    let expected = client.registration_hash;
    let keeps = has_secret(wanted.auth_method) && client.secret_hash.is_some();
    let fresh = Fresh {
        secret: if keeps {
            management.client_secret
        } else {
            has_secret(wanted.auth_method).then(|| random_token(&*auth.entropy, "cs_"))
        },
        token: random_token(&*auth.entropy, "reg_"),
    };
    let changed = Client {
        name: wanted.name,
        uri: wanted.uri,
        redirect_uris: wanted.redirect_uris,
        auth_method: wanted.auth_method,
        secret_hash: if keeps { client.secret_hash } else { fresh.secret.as_deref().map(hash) },
        scopes: wanted.scopes.intersection(&client.scopes),
        may_refresh: wanted.may_refresh,
        application_type: wanted.application_type,
        keys: wanted.keys,
        metadata: wanted.metadata,
        registration_hash: Some(hash(&fresh.token)),
        ..client
    };
    let event = auth.audit(Actor::Client(changed.client_id.clone()), "client.changed", &changed.client_id);
    let event = event.with(serde_json::json!({ "name": changed.name, "redirect_uris": changed.redirect_uris }));
    if auth.repos.clients.replace(&changed, expected.as_ref(), &event).await? {
        Ok(registration(issuer, changed, &fresh, StatusCode::OK))
    } else {
        // Another change was faster, and the token of this one is no longer valid.
        Ok(refused())
    }
}

/// RFC 7592 §2.2: which client it is has to be said, and what is ours to say must not be.
fn check(client: &Client, sent: &RegistrationManagement) -> Result<(), Error> {
    let bad = |why| Error::new(ErrorCode::InvalidClientMetadata, why);
    if sent.oversteps() {
        return Err(bad("the server's own members must not be sent"));
    }
    if sent.client_id.as_deref() != Some(&client.client_id) {
        return Err(bad("the client_id must be the client's"));
    }
    match (&sent.client_secret, &client.secret_hash) {
        (None, _) => Ok(()),
        (Some(sent), Some(expected)) if bool::from(hash(sent).ct_eq(expected)) => Ok(()),
        (Some(_), _) => Err(bad("the client_secret must be the client's")),
    }
}

fn narrower(client: &Client, wanted: &Wanted, asks_for_scopes: bool) -> Result<(), Error> {
    let bad = |why| Err(Error::new(ErrorCode::InvalidClientMetadata, why));
    let left = wanted.scopes.intersection(&client.scopes);
    let useful = left.iter().any(|scope| scope.as_str() != Scope::OFFLINE);
    if asks_for_scopes && left != wanted.scopes || !useful {
        return bad("a change cannot add scopes");
    }
    if wanted.may_refresh && !client.may_refresh {
        return bad("a change cannot add grant types");
    }
    if wanted.auth_method == AuthMethod::None && client.auth_method != AuthMethod::None {
        return bad("a change cannot take the client's proof of itself away");
    }
    Ok(())
}
