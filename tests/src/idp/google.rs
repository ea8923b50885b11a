//! Google's OpenID Connect, as <https://developers.google.com/identity/openid-connect/openid-connect>
//! describes it.
//!
//! - Endpoints are on other hosts than the issuer; the callback carries parameters nobody asked for.
//! - Scopes `email` and `profile` come back as their full URIs.
//! - A refresh token comes only with `access_type=offline`, and for a person who agreed before only with
//!   `prompt=consent`.
//! - `hd` in a request is a wish; only the claim says which organisation an account belongs to.
//! - A redirect URI that is not registered is a page at Google, not a redirect.
//! - The key set has more than one key.

mod token;

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use model::{Clock, Entropy};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    desk::{Account, Code, Desk, Registration},
    host::{Bound, Host},
    page,
    signer::Signer,
};

/// A provider that behaves like Google.
#[derive(Debug)]
pub struct GoogleIdp {
    /// The issuer, as its discovery document and its tokens name it.
    pub issuer: String,
    shared: Arc<Google>,
    _host: Host,
}

/// What is wrong with the ID tokens that are issued from now on. Google makes none of these; an attacker
/// between it and its client would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The nonce of another sign-in.
    Nonce,
    /// Meant for another client.
    Audience,
    /// From another issuer.
    Issuer,
    /// Signed with a key that is not in the key set, under a key id that is.
    Key,
    /// `alg` is `none` and the signature is empty.
    Unsigned,
    /// An hour too old.
    Expired,
}

#[derive(Debug)]
struct Google {
    desk: Desk,
    issuer: String,
    site: String,
    /// The one in use, and the one it replaced.
    keys: [Signer; 2],
    /// In no key set.
    stranger: Signer,
    fault: Mutex<Option<Fault>>,
}

const COOKIE: &str = "SID";

impl GoogleIdp {
    /// Starts one that knows these accounts and this application.
    pub async fn start(
        registration: Registration,
        accounts: Vec<Account>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Self> {
        let bound = Bound::new().await?;
        let shared = Arc::new(Google {
            desk: Desk::new(registration, accounts, clock, entropy),
            issuer: bound.api(),
            site: bound.site(),
            keys: [Signer::generate("b5e4")?, Signer::generate("a3f1")?],
            stranger: Signer::generate("b5e4")?,
            fault: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/o/oauth2/v2/auth", get(authorize).post(authorize))
            .route("/token", post(token::token))
            .route("/oauth2/v3/certs", get(certificates))
            .route("/v1/userinfo", get(token::userinfo))
            .with_state(Arc::clone(&shared));
        Ok(Self { issuer: bound.api(), shared, _host: bound.serve(router) })
    }

    /// Issues ID tokens with this fault from now on.
    pub fn fail_with(&self, fault: Fault) {
        *self.shared.fault.lock().expect("no holder panics") = Some(fault);
    }
}

async fn discovery(State(google): State<Arc<Google>>) -> impl IntoResponse {
    let Google { issuer, site, .. } = &*google;
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{site}/o/oauth2/v2/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/v1/userinfo"),
        "jwks_uri": format!("{issuer}/oauth2/v3/certs"),
        "response_types_supported": ["code", "token", "id_token", "code token", "code id_token", "none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "name", "sub"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
    });
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(document))
}

async fn certificates(State(google): State<Arc<Google>>) -> impl IntoResponse {
    let keys: Vec<_> = google.keys.iter().map(Signer::jwk).collect();
    ([(header::CACHE_CONTROL, "public, max-age=22000, must-revalidate")], Json(json!({ "keys": keys })))
}

#[derive(Deserialize)]
struct Authorize {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    #[serde(default)]
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    access_type: Option<String>,
    prompt: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

impl Authorize {
    fn prompts(&self, what: &str) -> bool {
        self.prompt.as_deref().is_some_and(|prompt| prompt.split(' ').any(|word| word == what))
    }
}

async fn authorize(State(google): State<Arc<Google>>, Query(query): Query<Authorize>, request: Request) -> Response {
    let desk = &google.desk;
    if let Some(fault) = fault(desk, &query) {
        let page = format!("<!doctype html><title>Error</title><h1>Access blocked</h1><p>Error 400: {fault}");
        return (StatusCode::BAD_REQUEST, Html(page)).into_response();
    }
    let scopes = full_names(&query.scope);
    let signed_in = page::cookie(request.headers(), COOKIE);
    let ask = query.prompts("consent") || query.prompts("select_account");
    let remembered = signed_in.filter(|subject| !ask && desk.consented(subject, &scopes));
    let chosen = page::choice(request).await.map(|choice| choice.account);
    let Some(subject) = chosen.or(remembered) else {
        return page::accounts("Google", &query.client_id, &desk.accounts).into_response();
    };
    let Some(account) = desk.account(&subject).cloned() else {
        return back(&query, &[("error", "access_denied")]).into_response();
    };
    let first = !desk.consented(&subject, &scopes) || query.prompts("consent");
    let mut pairs = vec![("scope", scopes.join(" ")), ("authuser", "0".to_owned())];
    pairs.extend(account.hosted_domain.clone().map(|domain| ("hd", domain)));
    pairs.push(("prompt", if first { "consent" } else { "none" }.to_owned()));
    let code = Code {
        account,
        redirect_uri: query.redirect_uri.clone(),
        challenge: query.code_challenge.clone(),
        nonce: query.nonce.clone(),
        scopes,
        refresh: first && query.access_type.as_deref() == Some("offline"),
        issued: desk.clock.now(),
    };
    pairs.push(("code", desk.grant("4/0A", code)));
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let cookie = format!("{COOKIE}={subject}; Path=/; HttpOnly; SameSite=Lax");
    ([(header::SET_COOKIE, cookie)], back(&query, &pairs)).into_response()
}

/// What Google shows as a page of its own instead of going back.
fn fault(desk: &Desk, query: &Authorize) -> Option<&'static str> {
    if query.client_id != desk.registration.client_id {
        return Some("invalid_client");
    }
    if query.redirect_uri != desk.registration.redirect_uri {
        return Some("redirect_uri_mismatch");
    }
    if query.response_type != "code" || query.scope.trim().is_empty() {
        return Some("invalid_request");
    }
    let method = query.code_challenge_method.as_deref();
    (query.code_challenge.is_some() && method != Some("S256")).then_some("invalid_request")
}

/// `email` and `profile` have older, longer names.
fn full_names(scope: &str) -> Vec<String> {
    let full = |scope: &str| match scope {
        "email" | "profile" => format!("https://www.googleapis.com/auth/userinfo.{scope}"),
        other => other.to_owned(),
    };
    scope.split_whitespace().map(full).collect()
}

fn back(query: &Authorize, pairs: &[(&str, &str)]) -> Redirect {
    let mut url = Url::parse(&query.redirect_uri).expect("the registered callback is a URL");
    url.query_pairs_mut().extend_pairs(query.state.iter().map(|state| ("state", state))).extend_pairs(pairs);
    Redirect::to(url.as_str())
}
