//! What a client hears about its registration.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use model::Scope;
use protocol::oauth::RegistrationResponse;
use storage::repo::{ApplicationType, Client, ClientKeys};
use zeroize::Zeroizing;

use super::PATH;
use crate::issuer::Issuer;

/// The secrets of an answer. They are stored hashed, so they are known only while they are new, or while the
/// client itself has just presented them.
pub(super) struct Fresh {
    /// The client's secret.
    pub(super) secret: Option<String>,
    /// The token that manages its registration.
    pub(super) token: String,
}

/// The registration as it is now (RFC 7591 §3.2.1, RFC 7592 §3).
pub(super) fn registration(issuer: &Issuer, client: Client, fresh: &Fresh, status: StatusCode) -> Response {
    let body = describe(issuer, client, fresh);
    let body = Zeroizing::new(serde_json::to_vec(&body).expect("a registration is plain JSON"));
    let mut response = (status, body.to_vec()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn describe(issuer: &Issuer, client: Client, fresh: &Fresh) -> RegistrationResponse {
    let mut grant_types = vec!["authorization_code"];
    if client.may_refresh {
        grant_types.push("refresh_token");
    }
    let (jwks, jwks_uri) = match client.keys {
        ClientKeys::None => (None, None),
        ClientKeys::Inline(jwks) => (Some(jwks), None),
        ClientKeys::At(uri) => (None, Some(uri)),
    };
    RegistrationResponse {
        registration_client_uri: format!("{}{PATH}/{}", issuer.url(), client.client_id),
        registration_access_token: fresh.token.clone(),
        client_id: client.client_id,
        client_id_issued_at: client.created_at.seconds(),
        client_secret_expires_at: fresh.secret.as_ref().map(|_| 0),
        client_secret: fresh.secret.clone(),
        client_name: client.name,
        client_uri: client.uri,
        redirect_uris: client.redirect_uris,
        token_endpoint_auth_method: client.auth_method.as_str(),
        grant_types,
        response_types: vec!["code"],
        scope: client.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "),
        application_type: match client.application_type {
            ApplicationType::Web => "web",
            ApplicationType::Native => "native",
        },
        jwks,
        jwks_uri,
        logo_uri: client.metadata.logo_uri,
        tos_uri: client.metadata.tos_uri,
        policy_uri: client.metadata.policy_uri,
        contacts: client.metadata.contacts,
        software_id: client.metadata.software_id,
        software_version: client.metadata.software_version,
    }
}
