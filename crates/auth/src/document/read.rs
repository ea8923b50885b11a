//! What a document may say.

use model::ScopeSet;
use protocol::oauth::{DocumentUrl, RedirectKind, RedirectUri, RegistrationRequest, strict_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::repo::{ApplicationType, AuthMethod, Client, ClientKeys, ClientMetadata, ClientOrigin};

use crate::{Auth, AuthConfig, register::read};

/// How deep a document may be nested.
const MAX_DEPTH: usize = 8;

/// A client as its document describes it, after every rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    client_id: String,
    name: String,
    uri: Option<String>,
    redirect_uris: Vec<String>,
    auth_method: AuthMethod,
    scopes: ScopeSet,
    may_refresh: bool,
    application_type: ApplicationType,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
}

impl Described {
    /// The client, as all others are. There is no row of it.
    pub(super) fn client(&self, auth: &Auth) -> Client {
        let keys = match (&self.jwks, &self.jwks_uri) {
            (Some(jwks), _) => ClientKeys::Inline(jwks.clone()),
            (None, Some(uri)) => ClientKeys::At(uri.clone()),
            (None, None) => ClientKeys::None,
        };
        Client {
            id: auth.id(),
            client_id: self.client_id.clone(),
            origin: ClientOrigin::Document,
            tenant: None,
            name: Some(self.name.clone()),
            uri: self.uri.clone(),
            redirect_uris: self.redirect_uris.clone(),
            auth_method: self.auth_method,
            secret_hash: None,
            scopes: self.scopes.clone(),
            may_refresh: self.may_refresh,
            application_type: self.application_type,
            keys,
            metadata: ClientMetadata::default(),
            registration_hash: None,
            blocked_at: None,
            created_at: auth.clock.now(),
            last_used_at: None,
            expires_at: None,
        }
    }
}

/// Holds a document to the rules; what is wrong with it otherwise, for the log.
pub(super) fn read(body: &[u8], address: &DocumentUrl<'_>, config: &AuthConfig) -> Result<Described, &'static str> {
    let document = strict_json(body, MAX_DEPTH).map_err(|_| "it is not JSON, or says a thing twice")?;
    let members = document.as_object().ok_or("it is not an object")?;
    if members.get("client_id").and_then(Value::as_str) != Some(address.text) {
        return Err("its client_id is another address");
    }
    if members.keys().any(|name| name.starts_with("client_secret")) {
        return Err("it has a secret, which everybody can read");
    }
    let method = auth_method(&document)?;
    let mut request: RegistrationRequest =
        serde_json::from_value(document).map_err(|_| "its members are of the wrong kind")?;
    // Judged as a registration would be, except for how the client proves itself, which is its own rule here.
    request.token_endpoint_auth_method = None;
    let mut wanted = read::read(&request, &config.private_redirects).map_err(|error| error.description)?;
    let name = wanted.name.ok_or("it has no client_name")?;
    wanted.redirect_uris.retain(|uri| within_fence(uri, address, config));
    if wanted.redirect_uris.is_empty() {
        return Err("its redirect URIs are neither on its own host nor on the person's computer");
    }
    let (jwks, jwks_uri) = match wanted.keys {
        ClientKeys::None => (None, None),
        ClientKeys::Inline(jwks) => (Some(jwks), None),
        ClientKeys::At(uri) => (None, Some(uri)),
    };
    if method == AuthMethod::PrivateKeyJwt && jwks.is_none() && jwks_uri.is_none() {
        return Err("it proves itself with keys that it does not name");
    }
    Ok(Described {
        client_id: address.text.to_owned(),
        name,
        uri: wanted.uri,
        redirect_uris: wanted.redirect_uris,
        auth_method: method,
        scopes: wanted.scopes,
        may_refresh: wanted.may_refresh,
        application_type: wanted.application_type,
        jwks,
        jwks_uri,
    })
}

/// How the client proves itself: not at all, or with a key. ChatGPT says one and lists both.
fn auth_method(document: &Value) -> Result<AuthMethod, &'static str> {
    let listed = document.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
    let lists = |word: &str| listed.is_some_and(|list| list.iter().any(|item| item == word));
    match document.get("token_endpoint_auth_method").map(Value::as_str) {
        Some(Some("none")) => Ok(AuthMethod::None),
        Some(Some("private_key_jwt")) => Ok(AuthMethod::PrivateKeyJwt),
        Some(_) => Err("it proves itself with a secret, which a document cannot have"),
        None if listed.is_none() || lists("none") => Ok(AuthMethod::None),
        None if lists("private_key_jwt") => Ok(AuthMethod::PrivateKeyJwt),
        None => Err("it names no way to prove itself that can be used"),
    }
}

/// Whether the host of the document makes a redirect URI believable: it is on the same origin, on the person's
/// own computer, or on the operator's list. Then what the consent page shows as the client's host is true.
fn within_fence(uri: &str, address: &DocumentUrl<'_>, config: &AuthConfig) -> bool {
    let listed = |list: &[String]| list.iter().any(|known| known == uri);
    match RedirectUri::register(uri, &config.private_redirects).map(|uri| uri.kind) {
        Ok(RedirectKind::Loopback) => true,
        Ok(RedirectKind::Https) => {
            let own = uri.strip_prefix("https://").and_then(|rest| rest.strip_prefix(address.host));
            let rest = own.map(|rest| rest.strip_prefix(":443").unwrap_or(rest));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
                || listed(&config.documents.redirects)
        }
        Ok(RedirectKind::PrivateScheme) => listed(&config.private_redirects),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
