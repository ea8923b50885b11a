//! GitHub's OAuth apps, as <https://docs.github.com/en/apps/oauth-apps> describes them.
//!
//! - Errors of the token endpoint are HTTP 200 with `error` in the body.
//! - Answers are form-encoded unless the request accepts JSON; scopes in them are separated by commas.
//! - A callback below the registered one is accepted; another one sends the error to the registered one.
//! - A person who is signed in and has agreed sees no page.
//! - `/user` has a numeric id and no address unless it is public, and refuses requests without a
//!   `User-Agent`; addresses come from `/user/emails`, which needs its own scope.

use std::sync::Arc;

use axum::{
    Form, Json, Router,
    extract::{Query, Request, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use model::{Clock, Entropy};
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{
    desk::{Account, Code, Desk, Registration, credentials},
    host::{Bound, Host},
    page,
};

/// A provider that behaves like GitHub.
#[derive(Debug)]
pub struct GithubIdp {
    /// Where browsers are sent.
    pub authorize_url: String,
    /// Where codes are redeemed.
    pub token_url: String,
    /// What `/user` is below.
    pub api_url: String,
    _host: Host,
}

const COOKIE: &str = "user_session";

impl GithubIdp {
    /// Starts one that knows these accounts and this application.
    pub async fn start(
        registration: Registration,
        accounts: Vec<Account>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Self> {
        let bound = Bound::new().await?;
        let (api, site) = (bound.api(), bound.site());
        let router = Router::new()
            .route("/login/oauth/authorize", get(authorize).post(authorize))
            .route("/login/oauth/access_token", post(token))
            .route("/api/v3/user", get(user))
            .route("/api/v3/user/emails", get(emails))
            .with_state(Arc::new(Desk::new(registration, accounts, clock, entropy)));
        Ok(Self {
            authorize_url: format!("{site}/login/oauth/authorize"),
            token_url: format!("{api}/login/oauth/access_token"),
            api_url: format!("{api}/api/v3"),
            _host: bound.serve(router),
        })
    }
}

#[derive(Deserialize)]
struct Authorize {
    client_id: String,
    redirect_uri: Option<String>,
    #[serde(default)]
    scope: String,
    state: Option<String>,
    prompt: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

async fn authorize(State(desk): State<Arc<Desk>>, Query(query): Query<Authorize>, request: Request) -> Response {
    let registered = &desk.registration;
    if query.client_id != registered.client_id {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    }
    let redirect = query.redirect_uri.as_deref().unwrap_or(&registered.redirect_uri);
    if !is_below(redirect, &registered.redirect_uri) {
        let text = "The redirect_uri MUST match the registered callback URL for this application.";
        return refused(&registered.redirect_uri, &query, "redirect_uri_mismatch", text);
    }
    if query.code_challenge.is_some() && query.code_challenge_method.as_deref() != Some("S256") {
        return refused(redirect, &query, "invalid_request", "code_challenge_method must be S256");
    }
    let scopes: Vec<String> = query.scope.split([' ', ',']).filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let signed_in = page::cookie(request.headers(), COOKIE);
    let remembered = signed_in
        .filter(|subject| desk.consented(subject, &scopes) && query.prompt.as_deref() != Some("select_account"));
    let chosen = page::choice(request).await.map(|choice| choice.account);
    let Some(subject) = chosen.or(remembered) else {
        return page::accounts("GitHub", &registered.client_id, &desk.accounts).into_response();
    };
    let Some(account) = desk.account(&subject).cloned() else {
        let text = "The user has denied your application access.";
        return refused(redirect, &query, "access_denied", text);
    };
    let code = Code {
        account,
        redirect_uri: redirect.to_owned(),
        challenge: query.code_challenge.clone(),
        nonce: None,
        scopes,
        refresh: false,
        issued: desk.clock.now(),
    };
    let code = desk.grant("", code);
    let cookie = format!("{COOKIE}={subject}; Path=/; HttpOnly; SameSite=Lax");
    ([(header::SET_COOKIE, cookie)], back(redirect, &query, &[("code", &code)])).into_response()
}

/// The same host and port, and the same path or one below it.
fn is_below(redirect: &str, registered: &str) -> bool {
    let (Ok(redirect), Ok(registered)) = (Url::parse(redirect), Url::parse(registered)) else { return false };
    let below = redirect.path().strip_prefix(registered.path().trim_end_matches('/'));
    redirect.origin() == registered.origin() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn refused(redirect: &str, query: &Authorize, error: &str, description: &str) -> Response {
    back(redirect, query, &[("error", error), ("error_description", description)]).into_response()
}

fn back(redirect: &str, query: &Authorize, pairs: &[(&str, &str)]) -> Redirect {
    let mut url = Url::parse(redirect).expect("the registered callback is a URL");
    url.query_pairs_mut().extend_pairs(pairs).extend_pairs(query.state.iter().map(|state| ("state", state)));
    Redirect::to(url.as_str())
}

#[derive(Deserialize)]
struct Redeem {
    client_id: Option<String>,
    client_secret: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
}

async fn token(State(desk): State<Arc<Desk>>, headers: HeaderMap, Form(form): Form<Redeem>) -> Response {
    let answer = match redeem(&desk, &headers, &form) {
        Ok(code) => json!({
            "access_token": desk.token("gho_", &code),
            "scope": code.scopes.join(","),
            "token_type": "bearer",
        }),
        Err((error, description)) => json!({
            "error": error,
            "error_description": description,
            "error_uri": "https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting",
        }),
    };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("json") {
        return Json(answer).into_response();
    }
    let fields = answer.as_object().into_iter().flatten();
    let pairs = fields.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    ([(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")], body).into_response()
}

fn redeem(desk: &Desk, headers: &HeaderMap, form: &Redeem) -> Result<Code, (&'static str, &'static str)> {
    let known = credentials(headers, (form.client_id.as_deref(), form.client_secret.as_deref()))
        .is_some_and(|(id, secret)| desk.knows((&id, &secret)));
    if !known {
        return Err(("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."));
    }
    let code = form.code.as_deref().and_then(|code| desk.redeem(code, form.code_verifier.as_deref()));
    let code = code.ok_or(("bad_verification_code", "The code passed is incorrect or expired."))?;
    match &form.redirect_uri {
        Some(redirect) if *redirect != code.redirect_uri => Err((
            "redirect_uri_mismatch",
            "The redirect_uri MUST match the registered callback URL for this application.",
        )),
        _ => Ok(code),
    }
}

async fn user(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match caller(&desk, &headers) {
        Err(refusal) => *refusal,
        Ok((account, scopes)) => {
            let id: u64 = account.subject.parse().expect("subjects are digits");
            let user =
                json!({ "login": account.login, "id": id, "name": account.name, "email": Value::Null, "type": "User" });
            ([("x-oauth-scopes", scopes.join(", "))], Json(user)).into_response()
        }
    }
}

async fn emails(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match caller(&desk, &headers) {
        Err(refusal) => *refusal,
        Ok((_, scopes)) if !scopes.iter().any(|scope| scope == "user:email" || scope == "user") => {
            message(StatusCode::NOT_FOUND, "Not Found")
        }
        Ok((account, _)) => Json(json!([
            {
                "email": format!("{}+{}@users.noreply.github.com", account.subject, account.login),
                "primary": false, "verified": true, "visibility": null,
            },
            { "email": account.email, "primary": true, "verified": account.email_verified, "visibility": "private" },
        ]))
        .into_response(),
    }
}

fn caller(desk: &Desk, headers: &HeaderMap) -> Result<(Account, Vec<String>), Box<Response>> {
    if !headers.contains_key(header::USER_AGENT) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Err(Box::new((StatusCode::FORBIDDEN, text).into_response()));
    }
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token =
        value.split_once(' ').filter(|(scheme, _)| ["bearer", "token"].contains(&scheme.to_lowercase().as_str()));
    token
        .and_then(|(_, token)| desk.bearer(token))
        .ok_or_else(|| Box::new(message(StatusCode::UNAUTHORIZED, "Bad credentials")))
}

fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text, "documentation_url": "https://docs.github.com/rest" }))).into_response()
}
