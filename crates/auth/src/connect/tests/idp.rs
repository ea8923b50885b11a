//! An identity provider on loopback: strict about what it is sent, and odd in what it answers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::*};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Map, Value, json};
use storage::repo::Endpoints;
use tokio::{net::TcpListener, task::JoinHandle};

/// How the provider signs.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) header: Header,
    pub(super) key: EncodingKey,
}

struct Inner {
    issuer: String,
    names_itself: bool,
    /// What was asked for, by code.
    codes: Mutex<HashMap<String, BTreeMap<String, String>>>,
    /// Claims that replace the ordinary ones; `null` leaves one out.
    claims: Mutex<Map<String, Value>>,
    userinfo: Mutex<Value>,
    signer: Mutex<Signer>,
    jwk: Value,
    token_requests: AtomicUsize,
}

pub(super) struct Idp(Arc<Inner>, JoinHandle<()>);

impl Drop for Idp {
    fn drop(&mut self) {
        self.1.abort();
    }
}

pub(super) fn signer(kid: &str) -> (Signer, Value) {
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let key = EncodingKey::from_ec_der(pair.as_ref());
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    (Signer { header: Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) }, key }, jwk)
}

impl Idp {
    pub(super) async fn start() -> Self {
        Self::run(false).await
    }

    /// One that says that it has the `iss` parameter (RFC 9207).
    pub(super) async fn naming_itself() -> Self {
        Self::run(true).await
    }

    async fn run(names_itself: bool) -> Self {
        crate::keys::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (signer, jwk) = signer("key-1");
        let inner = Arc::new(Inner {
            issuer,
            names_itself,
            codes: Mutex::default(),
            claims: Mutex::default(),
            userinfo: Mutex::new(Value::Null),
            signer: Mutex::new(signer),
            jwk,
            token_requests: AtomicUsize::new(0),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/login/oauth/access_token", post(github_token))
            .route("/api/user", get(github_user))
            .route("/api/user/emails", get(github_emails))
            .with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self(inner, task)
    }

    pub(super) async fn stop(&self) {
        self.1.abort();
        while !self.1.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn issuer(&self) -> String {
        self.0.issuer.clone()
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        Endpoints { issuer: Some(self.issuer()), ..Endpoints::default() }
    }

    pub(super) fn github_endpoints(&self) -> Endpoints {
        let at = |path: &str| Some(format!("{}{path}", self.0.issuer));
        Endpoints {
            authorize: at("/login/oauth/authorize"),
            token: at("/login/oauth/access_token"),
            api: at("/api"),
            issuer: None,
            ..Endpoints::default()
        }
    }

    /// The person says yes: a code for what was asked.
    pub(super) fn authorize(&self, sent: &BTreeMap<String, String>) -> String {
        let mut codes = self.0.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), sent.clone());
        code
    }

    pub(super) fn claim(&self, name: &str, value: Value) {
        self.0.claims.lock().unwrap().insert(name.to_owned(), value);
    }

    pub(super) fn say_about_userinfo(&self, value: Value) {
        *self.0.userinfo.lock().unwrap() = value;
    }

    pub(super) fn sign_with(&self, signer: Signer) {
        *self.0.signer.lock().unwrap() = signer;
    }

    pub(super) fn jwk(&self) -> Value {
        self.0.jwk.clone()
    }

    pub(super) fn signer(&self) -> Signer {
        self.0.signer.lock().unwrap().clone()
    }

    pub(super) fn token_requests(&self) -> usize {
        self.0.token_requests.load(Ordering::Relaxed)
    }
}

async fn metadata(State(idp): State<Arc<Inner>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", idp.issuer);
    Json(json!({
        "issuer": idp.issuer,
        "authorization_endpoint": at("/authorize?tenant=1"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "userinfo_endpoint": at("/userinfo"),
        "authorization_response_iss_parameter_supported": idp.names_itself,
    }))
}

async fn keys(State(idp): State<Arc<Inner>>) -> Json<Value> {
    let odd = json!({"kty": "XYZ", "kid": "odd", "alg": "XY999"});
    Json(json!({"keys": [odd, idp.jwk]}))
}

/// What was asked for, if code, verifier and redirect fit it. Codes work once.
fn redeem(idp: &Inner, form: &HashMap<String, String>) -> Option<BTreeMap<String, String>> {
    idp.token_requests.fetch_add(1, Ordering::Relaxed);
    let sent = idp.codes.lock().unwrap().remove(form.get("code")?)?;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, form.get("code_verifier")?.as_bytes()));
    let fits = sent["code_challenge"] == challenge
        && form.get("redirect_uri") == Some(&sent["redirect_uri"])
        && form["grant_type"] == "authorization_code";
    fits.then_some(sent)
}

async fn token(
    State(idp): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let Some(sent) = redeem(&idp, &form) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    // Basic, with both parts form-encoded (RFC 6749 §2.3.1).
    let basic = headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
    let basic = String::from_utf8(BASE64_STANDARD.decode(basic).unwrap()).unwrap();
    let slug = sent["client_id"].strip_prefix("client of ").unwrap();
    assert_eq!(basic, format!("client+of+{slug}:secret+of+{slug}"));
    let now = 1_790_000_000;
    let mut claims = json!({
        "iss": idp.issuer, "sub": "subject-1", "aud": sent["client_id"], "nonce": sent.get("nonce"),
        "iat": now, "exp": now + 3600, "name": "Ada", "email": "ada@example.com", "email_verified": "true",
        "at_hash": BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, b"access-1").as_ref()[..16]),
    });
    for (name, value) in &*idp.claims.lock().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let signer = idp.signer.lock().unwrap().clone();
    let id_token = encode(&signer.header, &claims, &signer.key).unwrap();
    Json(json!({"access_token": "access-1", "token_type": "Bearer", "expires_in": "3600", "id_token": id_token}))
        .into_response()
}

async fn userinfo(State(idp): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    assert_eq!(headers[header::AUTHORIZATION], "Bearer access-1");
    match &*idp.userinfo.lock().unwrap() {
        Value::Null => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        value => Json(value.clone()).into_response(),
    }
}

/// GitHub answers with a form unless asked for JSON, and has errors of status 200. Here it ignores what
/// was asked for.
async fn github_token(State(idp): State<Arc<Inner>>, Form(form): Form<HashMap<String, String>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")];
    if form.get("client_secret").map(String::as_str) != Some("secret of github") || redeem(&idp, &form).is_none() {
        return (kind, "error=bad_verification_code&error_description=old").into_response();
    }
    (kind, "access_token=gho_1&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer").into_response()
}

/// Whether a request to GitHub's API has what it refuses to answer without.
fn github_refuses(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_none() || headers.get(header::AUTHORIZATION).is_none_or(|a| a != "Bearer gho_1")
}

async fn github_user(headers: HeaderMap) -> Response {
    if github_refuses(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    Json(json!({"id": 583_231, "login": "octo", "name": null, "email": "profile@example.com"})).into_response()
}

async fn github_emails(headers: HeaderMap) -> Response {
    if github_refuses(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    Json(json!([
        {"email": "other@example.com", "primary": false, "verified": true, "visibility": null},
        {"email": "primary@example.com", "primary": true, "verified": true, "visibility": "private"},
    ]))
    .into_response()
}
