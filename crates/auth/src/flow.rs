//! An authorization request on its way from the client to the person's decision.
//!
//! Invariants:
//! - A transaction belongs to the browser that began it: every step needs that browser's cookie.
//! - Its stages are passed by compare-and-swap, each once; the last one takes it.
//! - It names nobody: who decides is always the session of the request that decides.

use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, HeaderValue};
use http_kit::{Problem, cookies};
use model::{ConnectionId, Resource, ScopeSet, Timestamp, UserId, random_token};
use protocol::oauth::ErrorCode;
use serde::{Deserialize, Serialize};
use storage::{
    Collection, Durability, Keep, Kept, Keys, Lifetime, Owner, Revision, StorageError, Stored, Values,
    repo::{SignInMethod, User},
};

use crate::{
    Auth,
    client::hash,
    consent,
    issuer::Issuer,
    session::{BrowserSession, SignedIn},
};

pub(crate) const TRANSACTIONS: Collection =
    Collection { name: "authorization", durability: Durability::Volatile, format: 2, reads: &[] };
/// The cookie that ties transactions to a browser, before its prefix. It says nothing about who somebody
/// is and is not rotated at sign-in, so that a transaction survives the sign-in that it waits for.
const COOKIE: &str = "portico_authorization";

/// What a client asked for, after every check that needs no person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// At whose endpoint: it signs the answer.
    pub(crate) issuer: Issuer,
    pub(crate) client_id: String,
    /// What the client was then; see `client::fingerprint`.
    pub(crate) client_fingerprint: [u8; 32],
    pub(crate) client_name: Option<String>,
    pub(crate) redirect_uri: String,
    pub(crate) redirect_uri_sent: bool,
    pub(crate) state: Option<String>,
    pub(crate) challenge: String,
    /// `None`: the person picks a server.
    pub(crate) resource: Option<Resource>,
    pub(crate) scopes: ScopeSet,
    /// Whether the client may have refresh tokens.
    pub(crate) may_refresh: bool,
    /// `prompt=login`, or a session older than `max_age`: one from before this request does not count.
    pub(crate) sign_in_again: bool,
    /// Whom the client expects. Shown to the person, and believed by nobody.
    pub(crate) login_hint: Option<String>,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "lowercase")]
pub(crate) enum Stage {
    /// The person is being asked.
    Asked,
    /// The person said yes and is on the way to a provider.
    Consented { connection: ConnectionId },
    /// The provider said who the person is; they confirm.
    Identified { user: UserId },
}

impl Stage {
    /// The stage in a CSRF token.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Consented { .. } => "consented",
            Self::Identified { .. } => "identified",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    request: Request,
    browser: [u8; 32],
    created_at: Timestamp,
    expires_at: Timestamp,
    stage: Stage,
}

impl Stored for Record {
    const COLLECTION: Collection = TRANSACTIONS;
    const KEYS: Keys = Keys::Secret;
}

/// The transactions, by their secret names.
fn transactions(auth: &Auth) -> Values<Record> {
    // A stage does not make a transaction live longer.
    let until = Lifetime::each(|record: &Record, _| Keep::Until(record.expires_at));
    Values::new(&auth.kv, &auth.clock, Owner::Platform, until)
}

/// A transaction, read in the browser that it belongs to.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// Its secret name, as URLs and forms have it.
    pub(crate) id: String,
    record: Record,
    revision: Revision,
}

impl Transaction {
    pub(crate) fn request(&self) -> &Request {
        &self.record.request
    }

    pub(crate) fn stage(&self) -> Stage {
        self.record.stage
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        self.record.expires_at
    }

    /// What ties it to its browser.
    pub(crate) fn browser(&self) -> &[u8; 32] {
        &self.record.browser
    }

    /// The session, if it counts for this request.
    pub(crate) fn person<'a>(&self, signed_in: Option<&'a SignedIn>) -> Option<&'a SignedIn> {
        let again = self.record.request.sign_in_again;
        signed_in.filter(|signed_in| !again || signed_in.at >= self.record.created_at)
    }

    /// Moves to another stage. `false` if another request of this browser was faster.
    pub(crate) async fn advance(&self, auth: &Auth, stage: Stage) -> Result<bool, StorageError> {
        let record = Record { stage, ..self.record.clone() };
        Ok(transactions(auth).replace(&self.id, self.revision, &record).await?.is_some())
    }

    /// Ends it. `false` if it had ended already: of several callers exactly one may act on it.
    pub(crate) async fn take(&self, auth: &Auth) -> Result<bool, StorageError> {
        Ok(transactions(auth).take(&self.id).await?.is_some())
    }
}

/// Begins a transaction in this browser. The cookie is to be set with the answer.
pub(crate) async fn begin(
    auth: &Auth,
    headers: &HeaderMap,
    request: Request,
) -> Result<(Transaction, HeaderValue), Problem> {
    let name = auth.origins.cookie(COOKIE);
    let lifetime = auth.config.lifetimes.transaction;
    // One cookie for all transactions of a browser, so that several tabs do not fill its headers.
    let secret = cookie(auth, headers).map_or_else(|| random_token(&*auth.entropy, ""), ToOwned::to_owned);
    let created_at = auth.clock.now();
    let expires_at = created_at + lifetime;
    let record = Record { request, browser: hash(&secret), created_at, expires_at, stage: Stage::Asked };
    let id = random_token(&*auth.entropy, "");
    let revision = transactions(auth).put(&id, &record).await?;
    Ok((Transaction { id, record, revision }, cookies::set(&name, &secret, Some(lifetime))))
}

/// Reads a transaction. Unknown, expired, done and another browser's look the same.
pub(crate) async fn load(auth: &Auth, headers: &HeaderMap, id: &str) -> Result<Transaction, Problem> {
    let over = || {
        Problem::bad_request(
            "This request is over, or was started in another browser. Go back to the application and connect again.",
        )
    };
    let Kept { value: record, revision, .. } = transactions(auth).get(id).await?.ok_or_else(over)?;
    let browser = cookie(auth, headers).map(hash);
    if browser.is_some_and(|browser| browser == record.browser) {
        Ok(Transaction { id: id.to_owned(), record, revision })
    } else {
        Err(over())
    }
}

/// Goes on with a transaction after the callback of a connection has verified who the person is and has
/// put them into the session, with a new session id. Answers with the way to the confirm page.
pub(crate) async fn identified(
    auth: &Auth,
    txn: &str,
    headers: &HeaderMap,
    user: &User,
    method: SignInMethod,
) -> Result<Response, Problem> {
    let transaction = load(auth, headers, txn).await?;
    let expected = match transaction.stage() {
        Stage::Consented { connection } => method == SignInMethod::Connection(connection),
        Stage::Asked | Stage::Identified { .. } => false,
    };
    if !expected || !transaction.advance(auth, Stage::Identified { user: user.id }).await? {
        return Err(done());
    }
    Ok(Redirect::to(&consent::path(txn)).into_response())
}

/// Goes on with a transaction after the identity provider sent the browser back with an error, which the
/// callback has held to the same checks as a success: the client hears of it. `by_person` tells whether
/// the person declined there. The person has consented in this browser, so it may go to the client.
pub(crate) async fn declined(
    auth: &Auth,
    txn: &str,
    headers: &HeaderMap,
    browser: BrowserSession,
    by_person: bool,
) -> Result<Response, Problem> {
    let transaction = load(auth, headers, txn).await?;
    if !matches!(transaction.stage(), Stage::Consented { .. }) || !transaction.take(auth).await? {
        return Err(done());
    }
    let error = if by_person {
        (ErrorCode::AccessDenied, "the person did not sign in")
    } else {
        (ErrorCode::ServerError, "the identity provider could not sign the person in")
    };
    consent::back(auth, browser, transaction.request(), Err(error)).await
}

/// The answer to whoever comes second.
pub(crate) fn done() -> Problem {
    Problem::bad_request("This step was done already. Go back to the application and connect again.")
}

fn cookie<'h>(auth: &Auth, headers: &'h HeaderMap) -> Option<&'h str> {
    let well_formed = |value: &&str| value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    cookies::get(headers, &auth.origins.cookie(COOKIE)).filter(well_formed)
}
