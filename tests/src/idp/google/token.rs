//! Tokens, and what one tells about its person.

use std::sync::Arc;

use axum::{
    Form, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Fault, Google};
use crate::idp::{
    desk::{Account, Code, credentials},
    signer::unsigned,
};

/// In seconds; Google rounds an hour down.
const LIFETIME: i64 = 3599;

#[derive(Deserialize)]
pub(super) struct Redeem {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
}

pub(super) async fn token(State(google): State<Arc<Google>>, headers: HeaderMap, Form(form): Form<Redeem>) -> Response {
    let known = credentials(&headers, (form.client_id.as_deref(), form.client_secret.as_deref()))
        .is_some_and(|(id, secret)| google.desk.knows((&id, &secret)));
    if !known {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized");
    }
    if form.grant_type.as_deref() != Some("authorization_code") {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type");
    }
    let code = form.code.as_deref().and_then(|code| google.desk.redeem(code, form.code_verifier.as_deref()));
    let Some(code) = code else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant", "Malformed auth code.");
    };
    if form.redirect_uri.as_deref() != Some(&code.redirect_uri) {
        return refused(StatusCode::BAD_REQUEST, "redirect_uri_mismatch", "Bad Request");
    }
    let access = google.desk.token("ya29.", &code);
    let mut answer = json!({
        "access_token": access,
        "expires_in": LIFETIME,
        "scope": code.scopes.join(" "),
        "token_type": "Bearer",
        "id_token": google.id_token(&code, &access),
    });
    if code.refresh {
        answer["refresh_token"] = google.desk.token("1//0", &code).into();
    }
    ([(header::CACHE_CONTROL, "no-cache, no-store, max-age=0, must-revalidate")], Json(answer)).into_response()
}

fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}

impl Google {
    /// OpenID Connect Core §2, §3.1.3.6.
    fn id_token(&self, code: &Code, access: &str) -> String {
        let client = &self.desk.registration.client_id;
        let now = self.desk.clock.now().seconds();
        let mut claims = json!({
            "iss": self.issuer,
            "azp": client,
            "aud": client,
            "sub": code.account.subject,
            "at_hash": BASE64URL.encode(&Sha256::digest(access)[..16]),
            "iat": now,
            "exp": now + LIFETIME,
        });
        claims["nonce"] = code.nonce.clone().into();
        merge(&mut claims, about(&code.account, &code.scopes));
        let fault = *self.fault.lock().expect("no holder panics");
        match fault {
            Some(Fault::Nonce) => claims["nonce"] = "of-another-sign-in".into(),
            Some(Fault::Audience) => claims["aud"] = "another-client".into(),
            Some(Fault::Issuer) => claims["iss"] = "https://accounts.example".into(),
            Some(Fault::Expired) => {
                claims["iat"] = (now - 2 * LIFETIME).into();
                claims["exp"] = (now - LIFETIME).into();
            }
            Some(Fault::Unsigned) => return format!("{}.", unsigned(&json!({ "alg": "none" }), &claims)),
            Some(Fault::Key) | None => {}
        }
        let signer = if fault == Some(Fault::Key) { &self.stranger } else { &self.keys[0] };
        signer.sign(&claims).expect("a fresh key signs")
    }
}

/// The claims that the scopes allow. An account that no organisation owns has no `hd`.
fn about(account: &Account, scopes: &[String]) -> Value {
    let may = |scope: &str| scopes.iter().any(|granted| granted.ends_with(scope));
    let mut claims = json!({});
    if let Some(domain) = &account.hosted_domain {
        claims["hd"] = domain.clone().into();
    }
    if may("userinfo.email") {
        claims["email"] = account.email.clone().into();
        claims["email_verified"] = account.email_verified.into();
    }
    if may("userinfo.profile") {
        claims["name"] = account.name.clone().into();
        claims["given_name"] = account.name.split(' ').next().into();
    }
    claims
}

fn merge(claims: &mut Value, more: Value) {
    if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
        claims.extend(more);
    }
}

pub(super) async fn userinfo(State(google): State<Arc<Google>>, headers: HeaderMap) -> Response {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| google.desk.bearer(token)) {
        None => refused(StatusCode::UNAUTHORIZED, "invalid_request", "Invalid Credentials"),
        Some((account, scopes)) => {
            let mut claims = json!({ "sub": account.subject });
            merge(&mut claims, about(&account, &scopes));
            Json(claims).into_response()
        }
    }
}
