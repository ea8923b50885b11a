//! The documents that clients discover us by: RFC 8414, OpenID Connect Discovery, RFC 9728, RFC 7517.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{StatusCode, header};
use model::{Resource, ResourcePath, ScopeSet};
use protocol::oauth::{AuthorizationServerMetadata, OpenIdMetadata, ProtectedResourceMetadata};

use storage::repo::PolicyMode;

use crate::{Auth, IssuerMode, issuer::Issuer};

/// What stands before a resource's path in the URL of its metadata (RFC 9728 §3.1).
pub(crate) const RESOURCE_PREFIX: &str = "/.well-known/oauth-protected-resource";
/// Where the metadata of an issuer without a path is (RFC 8414 §3), and before the path of one that has one.
const SERVER: &str = "/.well-known/oauth-authorization-server";
/// The same for OpenID Connect Discovery, which has it before or behind the path.
const OPENID: &str = "/.well-known/openid-configuration";
/// The path of an issuer that has one, and of whatever somebody may look for.
const TENANT: &str = "/t/{tenant}";

/// The documents that there are once, whoever issues.
pub(crate) fn routes(mode: IssuerMode) -> Router<Auth> {
    let resources = Router::new().route("/.well-known/oauth-protected-resource/{*path}", get(resource));
    match mode {
        IssuerMode::Platform => resources
            .route(SERVER, get(server))
            .route(OPENID, get(openid))
            // Whoever looks here expects another issuer, and would refuse our document, or worse, take it.
            .route(&format!("{SERVER}/{{*path}}"), any(absent))
            .route(&format!("{OPENID}/{{*path}}"), any(absent))
            .route(&format!("{TENANT}{OPENID}"), any(absent)),
        IssuerMode::Tenant => resources
            .route(&format!("{SERVER}{TENANT}"), get(server))
            .route(&format!("{OPENID}{TENANT}"), get(openid))
            .route(&format!("{TENANT}{OPENID}"), get(openid))
            .route(SERVER, any(absent))
            .route(OPENID, any(absent)),
    }
}

/// The documents of an issuer that are below its path.
pub(crate) fn of_issuer() -> Router<Auth> {
    Router::new().route("/oauth/jwks.json", get(jwks))
}

const CACHE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=300")];

fn names(scopes: &ScopeSet) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn metadata(auth: &Auth, issuer: &Issuer) -> AuthorizationServerMetadata {
    let mut metadata = AuthorizationServerMetadata::new(issuer.url(), names(&ScopeSet::supported()));
    metadata.client_id_metadata_document_supported = auth.config.documents.mode != PolicyMode::Off;
    if !auth.config.registration.open {
        metadata.registration_endpoint = None;
    }
    metadata
}

async fn server(State(auth): State<Auth>, issuer: Issuer) -> Response {
    (CACHE, Json(metadata(&auth, &issuer))).into_response()
}

async fn openid(State(auth): State<Auth>, issuer: Issuer) -> Response {
    (CACHE, Json(OpenIdMetadata::from(metadata(&auth, &issuer)))).into_response()
}

/// Nothing, for programs that look for it: they go on looking.
pub(crate) async fn absent() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Computed from the path alone: whether there is such a server is not for everybody to know.
async fn resource(State(auth): State<Auth>, Path(path): Path<String>) -> Response {
    let Ok(path) = format!("/{path}").parse::<ResourcePath>() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let resource = Resource::new(&auth.origins.mcp, &path);
    let scopes = names(&ScopeSet::challenge());
    let name = format!("{} of {}", path.server, path.tenant);
    let issuer = Issuer::of(&auth, &path);
    (CACHE, Json(ProtectedResourceMetadata::new(resource.as_str(), name, issuer.url(), scopes))).into_response()
}

async fn jwks(State(auth): State<Auth>, _of: Issuer) -> Response {
    let keys = auth.snapshot.keys().document();
    (CACHE, [(header::CONTENT_TYPE, "application/json")], keys).into_response()
}

#[cfg(test)]
mod tests;
