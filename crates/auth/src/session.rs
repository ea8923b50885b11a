//! Browser sessions: who is signed in, in which browser, and how.
//!
//! Invariants:
//! - The session's id is only in the cookie. What is stored is stored under its SHA-256.
//! - Signing in always makes a new id; signing out deletes the record, and nothing writes it again.
//! - Only a sign-in writes a session. Browsers that have not signed in have a random cookie and no record.

mod browser;
mod store;

use std::fmt;

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use http_kit::{Problem, cookies};
use model::{SessionId, TenantId, Timestamp, UserId, random_token};
use registry::Operator;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use storage::repo::{Actor, ConnectionOwner, SignInMethod, User, UserState};
use tower::{layer::util::Stack, util::MapResponseLayer};
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::SameSite};

pub use self::browser::Browser;
pub(crate) use self::browser::BrowserSession;
pub use self::store::SESSIONS;
use self::store::Store;
use crate::{Auth, client::hash, refusal::refusal};

/// The session's cookie, before its prefix.
const COOKIE: &str = "portico";
/// The cookie of a browser that has not signed in, before its prefix.
const VISITOR_COOKIE: &str = "portico_visitor";
/// The one value of a session's record.
const SIGNED_IN: &str = "signed_in";

/// The layer that every route with pages needs around it.
pub(crate) type SessionLayer = Stack<SessionManagerLayer<Store>, MapResponseLayer<fn(Response) -> Response>>;

/// Makes the layer. Its cookie lives as long as the longest session: how long a session really lives, the
/// store decides.
pub(crate) fn session_layer(auth: &Auth) -> SessionLayer {
    let longest = auth.config.lifetimes.session.try_into().unwrap_or(time::Duration::WEEK);
    let manager = SessionManagerLayer::new(Store::new(auth))
        .with_name(auth.origins.cookie(COOKIE))
        .with_secure(auth.origins.https())
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(longest));
    Stack::new(manager, MapResponseLayer::new(complete_cookies))
}

/// `tower-sessions` removes its cookie with one that has no `Secure`, which browsers refuse for a name with
/// the `__Host-` prefix (RFC 6265bis §4.1.3.2): the old one would stay.
fn complete_cookies(mut answer: Response) -> Response {
    let sent: Vec<HeaderValue> = answer.headers().get_all(header::SET_COOKIE).into_iter().cloned().collect();
    if sent.iter().any(|cookie| !is_complete(cookie)) {
        answer.headers_mut().remove(header::SET_COOKIE);
        for cookie in sent {
            let name = cookie.to_str().ok().and_then(|text| text.split_once('=')).map(|(name, _)| name);
            let complete = name.filter(|_| !is_complete(&cookie)).map(cookies::clear);
            answer.headers_mut().append(header::SET_COOKIE, complete.unwrap_or(cookie));
        }
    }
    answer
}

/// Whether a `Set-Cookie` has what all of ours have. Only removals have not.
fn is_complete(cookie: &HeaderValue) -> bool {
    cookie.to_str().is_ok_and(|text| text.contains("HttpOnly"))
}

/// What a session's record holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: SessionId,
    user: UserId,
    method: SignInMethod,
    at: Timestamp,
    /// For a session that a password made: which, so that the session ends when another one is set.
    password: Option<[u8; 16]>,
    /// The person's epoch then.
    #[serde(default)]
    epoch: u32,
}

/// Who is signed in in a browser, how and since when.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The person; active, as of this request.
    pub user: User,
    /// How they signed in.
    pub method: SignInMethod,
    /// When they proved who they are.
    pub at: Timestamp,
    /// The session, as logs and audit name it.
    pub session: SessionId,
    /// The one tenant that this way of signing in opens; `None` for all.
    only: Option<TenantId>,
}

impl SignedIn {
    /// Whether this way of signing in opens a tenant: an identity of a tenant's connection opens only
    /// that one. Membership is another question.
    pub fn opens(&self, tenant: TenantId) -> bool {
        self.only.is_none_or(|only| only == tenant)
    }

    /// The authority to run the installation, if the person is an operator. Never by way of a tenant's
    /// connection: what that says is the tenant's word, and the installation is not the tenant's.
    pub fn operator(&self) -> Option<Operator<'_>> {
        Operator::new(&self.user).filter(|_| self.only.is_none())
    }
}

/// What ties a thing to one browser: a hash of its session's cookie or, before sign-in, of its visitor's
/// cookie. It changes at sign-in. Safe to store.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Binding([u8; 32]);

impl Binding {
    /// `kind` keeps the two cookies apart.
    fn of(kind: &str, secret: &str) -> Self {
        Self(Sha256::new().chain_update(kind).chain_update([0]).chain_update(secret).finalize().into())
    }

    /// The hash.
    fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding")
    }
}

/// Signs a person in: the browser gets a session with a new id, whatever it had before.
async fn sign_in(auth: &Auth, session: &Session, user: User, method: SignInMethod) -> Result<SignedIn, Problem> {
    let password = password(auth, user.id, method).await?;
    let record =
        Record { id: auth.id(), user: user.id, method, at: auth.clock.now(), password, epoch: user.session_epoch };
    let signed_in = admit(auth, record, user).await?;
    let signed_in = signed_in.ok_or_else(|| Problem::forbidden("This account cannot sign in."))?;
    // Deletes what the browser had; saving then makes a new id.
    session.cycle_id().await.map_err(problem)?;
    session.insert(SIGNED_IN, &record).await.map_err(problem)?;
    session.save().await.map_err(problem)?;
    let event = auth.audit(Actor::User(record.user), "session.started", record.id).with(json!({ "method": method }));
    auth.repos.audit.append(&event).await?;
    tracing::info!(user.id = %record.user, session.id = %record.id, "signed in");
    Ok(signed_in)
}

/// Ends a session: its record is gone when this returns, its cookie with the answer.
async fn sign_out(session: &Session) -> Result<(), Problem> {
    session.flush().await.map_err(problem)
}

/// Who is signed in; `None` too for people who are gone or blocked and for sessions made through a
/// connection that is gone or off, with a password that was replaced, or before all were ended. Such sessions end here.
async fn signed_in(auth: &Auth, session: &Session) -> Result<Option<SignedIn>, Problem> {
    let Some(record) = session.get::<Record>(SIGNED_IN).await.map_err(problem)? else { return Ok(None) };
    let signed_in = match auth.registry.user(record.user).await.map_err(refusal)? {
        Some(user) => admit(auth, record, user).await?,
        None => None,
    };
    match session.id() {
        Some(id) if signed_in.is_some() => Store::new(auth).renew(&id).await?,
        _ => sign_out(session).await?,
    }
    Ok(signed_in)
}

/// Looks at what decides whether a session still counts.
async fn admit(auth: &Auth, record: Record, user: User) -> Result<Option<SignedIn>, Problem> {
    let only = match record.method {
        SignInMethod::Local => None,
        SignInMethod::Connection(id) => match auth.repos.connections.connection(id).await? {
            Some(connection) if connection.enabled => match connection.owner {
                ConnectionOwner::Tenant(tenant) => Some(tenant),
                ConnectionOwner::Platform => None,
            },
            _ => return Ok(None),
        },
    };
    let Record { id: session, method, at, user: _, password: entered, epoch } = record;
    if epoch != user.session_epoch || password(auth, user.id, method).await? != entered {
        return Ok(None);
    }
    Ok((user.state == UserState::Active).then_some(SignedIn { user, method, at, session, only }))
}

/// Which password a person has now: a piece of the hash of its hash, whose salt is new with every change.
async fn password(auth: &Auth, user: UserId, method: SignInMethod) -> Result<Option<[u8; 16]>, Problem> {
    if method != SignInMethod::Local {
        return Ok(None);
    }
    let account = auth.repos.users.local_account_of(user).await?;
    Ok(account.and_then(|account| hash(account.password.expose()).first_chunk().copied()))
}

/// A browser that has not signed in: by its cookie, or a new one. The cookie is set anew each time, so that
/// a form that was just opened can be sent for a while.
fn visitor(auth: &Auth, headers: &HeaderMap) -> (Binding, HeaderValue) {
    let name = auth.origins.cookie(VISITOR_COOKIE);
    let ours = |value: &&str| value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    let known = cookies::get(headers, &name).filter(ours).map(ToOwned::to_owned);
    let value = known.unwrap_or_else(|| random_token(&*auth.entropy, ""));
    (Binding::of("visitor", &value), cookies::set(&name, &value, Some(store::VISIT)))
}

/// SHA-256 in hexadecimal: how secrets that are keys are stored.
pub(crate) fn hash_hex(secret: &str) -> String {
    use fmt::Write as _;
    Sha256::digest(secret).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn problem(error: tower_sessions::session::Error) -> Problem {
    use tower_sessions::{session::Error, session_store};
    match error {
        Error::Store(error @ session_store::Error::Backend(_)) => Problem::unavailable(error),
        error => Problem::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use model::{Id, Name, SeededEntropy, SystemClock};

    use super::*;

    #[test]
    fn a_tenants_word_makes_no_operator() {
        let (clock, entropy) = (SystemClock, SeededEntropy::new(1));
        let name: Name = "Oscar".parse().unwrap();
        let at = Timestamp::from_seconds(1);
        let id = Id::new(&clock, &entropy);
        let state = UserState::Active;
        let (email, handle, session_epoch) = (None, None, 0);
        let user = User { id, handle, name, email, operator: true, state, created_at: at, session_epoch };
        let (method, session) = (SignInMethod::Local, Id::new(&clock, &entropy));
        let here = SignedIn { user, method, at, session, only: None };
        assert!(here.operator().is_some());
        let through_a_tenant = SignedIn { only: Some(Id::new(&clock, &entropy)), ..here.clone() };
        assert!(through_a_tenant.operator().is_none());
        let ordinary = SignedIn { user: User { operator: false, ..here.user.clone() }, ..here };
        assert!(ordinary.operator().is_none());
    }
}
