//! Going to an identity provider and coming back: one round trip for sign-in, or as a step of an
//! authorization request.
//!
//! Invariants:
//! - A round trip ends in the browser that started it, at the connection that it was started for, once.
//!   An error that comes back is held to the same checks as a success.
//! - A person is who the provider's token or API says, over a connection that we opened, for a code that
//!   we asked for; nothing that a browser brings along says who somebody is.
//! - The provider's tokens are used for this and dropped.

mod entra;
mod error;
mod exchange;
mod github;
mod id_token;
mod issuer;
mod leg;
mod oauth;
mod oidc;
mod probe;
mod provider;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use http_kit::{Fields, Problem, cookies};
use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier, Scope};
use storage::repo::{Connection, SignInMethod};

pub use self::probe::Probe;
use self::{error::ConnectError, leg::Leg, provider::Provider};
pub(crate) use self::{issuer::Issuers, leg::LEGS};
use crate::{
    Auth, consent, flow, leave,
    refusal::refusal,
    session::BrowserSession,
    signin::{ReturnPath, login_path},
};

/// Where providers send browsers back to; the segment is [`Connection::callback`].
const CALLBACK: &str = "/oauth/callback/{connection}";

/// What a person goes to an identity provider for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Purpose {
    /// To sign in, and then to go on to a path of this site.
    SignIn {
        /// Where to.
        return_to: ReturnPath,
    },
    /// To decide over an authorization request. The callback ends in [`flow::identified`].
    Authorization {
        /// The transaction.
        txn: String,
    },
}

impl Purpose {
    /// The way on from the page of a problem.
    fn way_back(&self) -> String {
        match self {
            Self::SignIn { return_to } => login_path(return_to.as_str()),
            Self::Authorization { txn } => consent::onward_path(txn),
        }
    }
}

/// The callback.
pub(crate) fn routes() -> Router<Auth> {
    Router::new().route(CALLBACK, get(callback))
}

/// The connection that a path names. A segment with a character that none has is not looked up: Postgres, for
/// one, has no NUL in its texts, and would refuse the question.
pub(crate) async fn named(auth: &Auth, segment: &str) -> storage::Result<Option<Connection>> {
    if segment.contains(char::is_control) {
        return Ok(None);
    }
    // One that is switched off is as if it were not there, also for who comes back through it.
    Ok(auth.repos.connections.by_callback(segment).await?.filter(|connection| connection.enabled))
}

/// Starts a round trip: remembers state, nonce and verifier, sets the flow cookie and sends the browser to
/// the provider; for an authorization request, which hangs on a form, by way of a page
/// ([`leave::to_provider`]), otherwise with a redirect.
pub(crate) async fn start(
    auth: &Auth,
    connection: &Connection,
    purpose: Purpose,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let failed = |error: ConnectError| error.problem(&purpose.way_back());
    let provider = Provider::of(auth, connection).await.map_err(failed)?;
    let client = exchange::client(auth, connection, provider.endpoints()).map_err(failed)?;
    let wanted = auth.registry.wanted(connection.id).await.map_err(refusal)?;
    let started = leg::begin(auth, connection, &provider, purpose.clone(), headers).await?;
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(started.verifier));
    let mut request = client.authorize_url(|| CsrfToken::new(started.state)).set_pkce_challenge(challenge);
    for scope in provider.scopes(connection, wanted) {
        request = request.add_scope(Scope::new(scope));
    }
    if provider.has_identity_tokens() {
        request = request.add_extra_param("nonce", started.nonce);
    }
    let (url, _) = request.url();
    let mut answer = match purpose {
        Purpose::SignIn { .. } => Redirect::to(url.as_str()).into_response(),
        Purpose::Authorization { .. } => leave::to_provider(url.as_str(), connection.name.as_str())?,
    };
    for cookie in started.cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// What providers are told that we are reached at; registered there, so it never changes.
fn redirect_uri(auth: &Auth, connection: &Connection) -> String {
    format!("{}/oauth/callback/{}", auth.origins.auth, connection.callback)
}

/// Back from a provider.
async fn callback(
    State(auth): State<Auth>,
    Path(segment): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    browser: BrowserSession,
) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri).map_err(|_| leg::foreign())?;
    let state = fields.get("state").ok_or_else(leg::foreign)?;
    // Nothing is consumed, and nothing that came along is acted on, before this has passed.
    let (connection, leg) = leg::claim(&auth, &segment, state, fields.get("iss"), &headers).await?;
    let answer = arrive(&auth, &connection, leg, &fields, &headers, browser).await;
    let mut answer = answer.unwrap_or_else(Problem::into_response);
    answer.headers_mut().append(header::SET_COOKIE, cookies::clear(&leg::cookie_name(&auth, state)));
    Ok(answer)
}

async fn arrive(
    auth: &Auth,
    connection: &Connection,
    leg: Leg,
    fields: &Fields,
    headers: &HeaderMap,
    mut browser: BrowserSession,
) -> Result<Response, Problem> {
    if let Some(code) = fields.get("error") {
        return declined(auth, connection, leg.purpose, code, headers, browser).await;
    }
    let back = leg.purpose.way_back();
    let code = fields.get("code").filter(|code| !code.is_empty()).ok_or_else(leg::foreign)?;
    let wanted = auth.registry.wanted(connection.id).await.map_err(refusal)?;
    let claims = async {
        let provider = Provider::of(auth, connection).await?;
        provider.identity(auth, connection, &leg, code, wanted).await
    };
    let claims = claims.await.map_err(|error: ConnectError| error.problem(&back))?;
    let facts = claims.facts.clone();
    let user = auth.registry.identify(connection, claims).await.map_err(refusal)?;
    auth.registry.judge(&user, connection, &facts).await.map_err(refusal)?;
    // A person who was never here before, or has just become a member, is in the snapshots when the next step
    // looks; who is no member any more is refused by then.
    auth.sync().await;
    let method = SignInMethod::Connection(connection.id);
    browser.begin(user.clone(), method).await?;
    let answer = match leg.purpose {
        Purpose::SignIn { return_to } => Redirect::to(return_to.as_str()).into_response(),
        Purpose::Authorization { txn } => flow::identified(auth, &txn, headers, &user, method).await?,
    };
    Ok(browser.remember(answer))
}

/// The provider, or the person there, said no.
async fn declined(
    auth: &Auth,
    connection: &Connection,
    purpose: Purpose,
    code: &str,
    headers: &HeaderMap,
    browser: BrowserSession,
) -> Result<Response, Problem> {
    let code = error::code(code);
    tracing::info!(connection.id = %connection.id, oauth.error = code, "an identity provider sent somebody back");
    match purpose {
        Purpose::Authorization { txn } => flow::declined(auth, &txn, headers, browser, code == "access_denied").await,
        Purpose::SignIn { return_to } => {
            let message = if code == "access_denied" {
                format!("You were not signed in: {} says that you declined.", connection.name)
            } else {
                format!("You were not signed in: {} could not do it right now ({code}).", connection.name)
            };
            Err(Problem::forbidden(message).with_link(login_path(return_to.as_str()), "Back to sign-in"))
        }
    }
}

#[cfg(test)]
mod tests;
