use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use http_kit::Problem;
use model::{Resource, ResourcePath, Scope};
use protocol::oauth::{DocumentUrl, RedirectKind, RedirectUri};
use storage::repo::{Connection, User};
use unicode_security::MixedScript as _;

use crate::{
    Auth,
    access::Choice,
    flow::{Request, Stage, Transaction},
};

/// Who would be deciding.
pub(super) enum Account<'a> {
    /// Somebody who signs in next, through one of these.
    None { connections: &'a [Connection], sign_in: String },
    /// Somebody.
    Some { id: String, name: String, email: Option<String>, other: String },
}

impl Account<'_> {
    pub(super) fn of(user: &User, other: String) -> Self {
        Self::Some { id: user.id.to_string(), name: user.name.to_string(), email: user.email.clone(), other }
    }

    fn id(&self) -> &str {
        match self {
            Self::None { .. } => "",
            Self::Some { id, .. } => id,
        }
    }
}

/// What would be decided over.
pub(super) enum Asking {
    /// A server, by the names that the platform has for it.
    Server { tenant: String, server: String },
    /// A server, by the slugs of its URL: whoever looks may not know more.
    Slugs { tenant: String, server: String },
    /// One of these servers.
    Choice(Vec<Choice>),
    /// A server that the person picks after sign-in.
    Later,
    /// Nothing: the server is not there, or not for this person.
    Nothing,
}

impl Asking {
    /// What is known before anybody is signed in.
    pub(super) fn of(request: &Request, path: Option<ResourcePath>) -> Self {
        let path = path.or_else(|| request.resource.as_ref().and_then(path_of));
        path.map_or(Self::Later, |path| Self::Slugs {
            tenant: path.tenant.to_string(),
            server: path.server.to_string(),
        })
    }
}

/// The path of a resource of ours.
fn path_of(resource: &Resource) -> Option<ResourcePath> {
    let (_, rest) = resource.as_str().split_once("://")?;
    rest.get(rest.find('/')?..)?.parse().ok()
}

/// A scope in plain words.
struct Permission {
    text: &'static str,
    strong: bool,
}

#[derive(Template)]
#[template(path = "auth/consent.html")]
pub(super) struct Page<'a> {
    txn: &'a str,
    csrf: String,
    confirm: bool,
    client: Option<&'a str>,
    client_id: &'a str,
    /// The host of the client's metadata document, if it is one.
    host: Option<&'a str>,
    /// Whether the client's name mixes alphabets, as names do that imitate others.
    mixed: bool,
    target: String,
    kind: RedirectKind,
    asking: Asking,
    nothing: bool,
    permissions: Vec<Permission>,
    lasts: String,
    account: Account<'a>,
}

impl<'a> Page<'a> {
    pub(super) fn new(auth: &Auth, transaction: &'a Transaction, account: Account<'a>, asking: Asking) -> Self {
        let request = transaction.request();
        let (target, kind) = destination(&request.redirect_uri);
        Self {
            txn: &transaction.id,
            csrf: csrf_token(auth, transaction, account.id()),
            confirm: matches!(transaction.stage(), Stage::Identified { .. }),
            client: request.client_name.as_deref(),
            client_id: &request.client_id,
            host: DocumentUrl::parse(&request.client_id, true).ok().map(|address| address.host),
            mixed: request.client_name.as_deref().is_some_and(|name| !name.is_single_script()),
            target,
            kind,
            nothing: matches!(asking, Asking::Nothing),
            asking,
            permissions: request.scopes.iter().map(permission).collect(),
            lasts: lasts(auth, request),
            account,
        }
    }

    pub(super) fn response(&self) -> Result<Response, Problem> {
        let status = if self.nothing { StatusCode::NOT_FOUND } else { StatusCode::OK };
        let mut response = (status, Html(self.render()?)).into_response();
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(&self.target, self.kind));
        Ok(response)
    }
}

/// The page's policy. Browsers hold the redirect behind a form, and those that the client adds to it,
/// against `form-action`, and drop the navigation without a word. So it names the kind of place where
/// this answer goes; the page holds no form but ours.
fn policy(target: &str, kind: RedirectKind) -> HeaderValue {
    let place = match kind {
        RedirectKind::Https => "https:",
        RedirectKind::Loopback => "http: https:",
        RedirectKind::PrivateScheme => target,
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {place}; frame-ancestors 'none'; \
         base-uri 'none'; require-trusted-types-for 'script'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Where the answer goes: host and port, or scheme, in full.
fn destination(uri: &str) -> (String, RedirectKind) {
    let own = [uri.to_owned()];
    let Ok(uri) = RedirectUri::register(uri, &own) else {
        // A registered URI always passes; a place that does not parse is shown whole.
        return (uri.to_owned(), RedirectKind::PrivateScheme);
    };
    let target = match uri.kind {
        RedirectKind::PrivateScheme => uri.target.to_owned(),
        RedirectKind::Https | RedirectKind::Loopback => {
            let rest = uri.text.split_once("://").map_or("", |(_, rest)| rest);
            rest.split(['/', '?']).next().unwrap_or_default().to_owned()
        }
    };
    (target, uri.kind)
}

fn permission(scope: &Scope) -> Permission {
    let (text, strong) = match scope.as_str() {
        Scope::READ => ("See what the server offers, read its resources and use its prompts", false),
        Scope::TOOLS => ("Call its tools in your name, also those that change or delete things", true),
        Scope::OFFLINE => ("Keep this access while you are away", false),
        _ => ("Something that this server calls by a name of its own", true),
    };
    Permission { text, strong }
}

fn lasts(auth: &Auth, request: &Request) -> String {
    let lifetimes = auth.config.lifetimes;
    let seconds = if request.may_refresh { lifetimes.grant } else { lifetimes.access }.as_secs();
    let (number, unit) = match seconds {
        86_400.. => (seconds.div_ceil(86_400), "day"),
        3600.. => (seconds.div_ceil(3600), "hour"),
        60.. => (seconds.div_ceil(60), "minute"),
        _ => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Everything that a page shows and that a decision rests on, in one order.
fn with_parts<T>(transaction: &Transaction, account: &str, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    let request = transaction.request();
    let scopes = request.scopes.to_string();
    let parts = [
        "consent",
        &transaction.id,
        transaction.stage().name(),
        &request.client_id,
        request.client_name.as_deref().unwrap_or_default(),
        &request.redirect_uri,
        request.resource.as_ref().map_or("", Resource::as_str),
        &scopes,
        account,
    ];
    let mut bytes: Vec<&[u8]> = vec![transaction.browser()];
    bytes.extend(parts.iter().map(|part| part.as_bytes()));
    then(&bytes)
}

fn csrf_token(auth: &Auth, transaction: &Transaction, account: &str) -> String {
    with_parts(transaction, account, |parts| auth.csrf.token(parts, transaction.expires_at()))
}

/// Whether a token was made for exactly this page, in this browser.
pub(super) fn check_csrf(auth: &Auth, transaction: &Transaction, account: &str, token: &str) -> bool {
    with_parts(transaction, account, |parts| auth.csrf.check(token, parts, auth.clock.now()))
}
