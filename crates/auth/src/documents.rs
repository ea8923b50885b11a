//! The documents that clients discover us by: RFC 8414, OpenID Connect Discovery, RFC 9728, RFC 7517.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use model::{Resource, ResourcePath, ScopeSet};
use protocol::oauth::{AuthorizationServerMetadata, OpenIdMetadata, ProtectedResourceMetadata};

use storage::repo::PolicyMode;

use crate::Auth;

/// What stands before a resource's path in the URL of its metadata (RFC 9728 §3.1).
pub(crate) const RESOURCE_PREFIX: &str = "/.well-known/oauth-protected-resource";

pub(crate) fn routes() -> Router<Auth> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(server))
        .route("/.well-known/openid-configuration", get(openid))
        .route("/.well-known/oauth-protected-resource/{*path}", get(resource))
        .route("/oauth/jwks.json", get(jwks))
}

const CACHE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=300")];

fn names(scopes: &ScopeSet) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn metadata(auth: &Auth) -> AuthorizationServerMetadata {
    let mut metadata = AuthorizationServerMetadata::new(auth.issuer(), names(&ScopeSet::supported()));
    metadata.client_id_metadata_document_supported = auth.config.documents.mode != PolicyMode::Off;
    if !auth.config.registration.open {
        metadata.registration_endpoint = None;
    }
    metadata
}

async fn server(State(auth): State<Auth>) -> Response {
    (CACHE, Json(metadata(&auth))).into_response()
}

async fn openid(State(auth): State<Auth>) -> Response {
    (CACHE, Json(OpenIdMetadata::from(metadata(&auth)))).into_response()
}

/// Computed from the path alone: whether there is such a server is not for everybody to know.
async fn resource(State(auth): State<Auth>, Path(path): Path<String>) -> Response {
    let Ok(path) = format!("/{path}").parse::<ResourcePath>() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let resource = Resource::new(&auth.origins.mcp, &path);
    let scopes = names(&ScopeSet::challenge());
    (CACHE, Json(ProtectedResourceMetadata::new(resource.as_str(), auth.issuer(), scopes))).into_response()
}

async fn jwks(State(auth): State<Auth>) -> Response {
    let keys = auth.snapshot.keys().document();
    (CACHE, [(header::CONTENT_TYPE, "application/json")], keys).into_response()
}

#[cfg(test)]
mod tests;
