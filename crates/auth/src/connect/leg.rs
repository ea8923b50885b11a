//! The record of one round trip, and the cookie that ties it to its browser (records 8 and 9 of the
//! design).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use http_kit::{Problem, cookies};
use model::{ConnectionId, random_token};
use serde::{Deserialize, Serialize};
use storage::{Collection, Durability, Keys, Lifetime, Owner, Stored, Values, repo::Connection};
use subtle::ConstantTimeEq as _;

use super::{Purpose, named, provider::Provider};
use crate::{Auth, session::hash_hex};

/// How long a person may stay at the provider.
const LIFETIME: Duration = Duration::from_mins(10);
/// How many round trips one browser may have open; beyond it, the oldest cookie goes, so that a browser
/// never sends more than its header may hold.
const MOST: usize = 8;
/// What a `state` of ours is at most, in bytes.
const LONGEST_STATE: usize = 128;

pub(crate) const LEGS: Collection =
    Collection { name: "sign-in", durability: Durability::Volatile, format: 1, reads: &[] };

/// What is remembered of a round trip. Stored sealed, under the hash of its `state`.
#[derive(Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) connection: ConnectionId,
    pub(super) purpose: Purpose,
    /// What the one who has to answer may be called; empty for providers without a name.
    #[serde(default)]
    issuers: Vec<String>,
    /// Whether it said that it names itself in its answers (RFC 9207).
    names_itself: bool,
    pub(super) nonce: String,
    /// PKCE (RFC 7636).
    pub(super) verifier: String,
    /// SHA-256 of the flow cookie.
    flow: String,
}

impl Stored for Leg {
    const COLLECTION: Collection = LEGS;
    const KEYS: Keys = Keys::Secret;
}

/// The round trips, by their `state`.
fn legs(auth: &Auth) -> Values<Leg> {
    Values::new(&auth.kv, &auth.clock, Owner::Platform, Lifetime::For(LIFETIME))
}

/// A round trip that has begun.
pub(super) struct Started {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    /// The flow cookie, and whatever had to go for it.
    pub(super) cookies: Vec<HeaderValue>,
}

/// Remembers a new round trip.
pub(super) async fn begin(
    auth: &Auth,
    connection: &Connection,
    provider: &Provider,
    purpose: Purpose,
    headers: &HeaderMap,
) -> Result<Started, Problem> {
    let random = || random_token(&*auth.entropy, "");
    let (state, nonce, verifier) = (random(), random(), random());
    let flow = format!("{}.{}", auth.clock.now().seconds(), random());
    let leg = Leg {
        connection: connection.id,
        purpose,
        issuers: provider.issuers(),
        names_itself: provider.names_itself(),
        nonce: nonce.clone(),
        verifier: verifier.clone(),
        flow: hash_hex(&flow),
    };
    legs(auth).put(&state, &leg).await?;
    let mut set = oldest(auth, headers);
    set.push(cookies::set(&cookie_name(auth, &state), &flow, Some(LIFETIME)));
    Ok(Started { state, nonce, verifier, cookies: set })
}

/// Takes a round trip that came back, if it was this browser's, at this connection, from the issuer that
/// was meant. Otherwise everything stays as it is, and the right browser can still finish.
pub(super) async fn claim(
    auth: &Auth,
    segment: &str,
    state: &str,
    iss: Option<&str>,
    headers: &HeaderMap,
) -> Result<(Connection, Leg), Problem> {
    if state.len() > LONGEST_STATE {
        return Err(foreign());
    }
    let legs = legs(auth);
    let leg = legs.get(state).await?.ok_or_else(foreign)?.value;
    let flow = cookies::get(headers, &cookie_name(auth, state)).ok_or_else(foreign)?;
    if !bool::from(hash_hex(flow).as_bytes().ct_eq(leg.flow.as_bytes())) {
        return Err(foreign());
    }
    let connection = named(auth, segment).await?.ok_or_else(foreign)?;
    if connection.id != leg.connection || !leg.is_answer_of(iss) {
        tracing::warn!(connection.id = %connection.id, "an answer came back from another provider than was asked");
        return Err(foreign());
    }
    // Of several requests with this answer, one goes on.
    let taken = legs.take(state).await?.ok_or_else(foreign)?;
    Ok((connection, taken.value))
}

impl Leg {
    /// RFC 9207 §2.4: an issuer that names itself must do so; one that is named must be the one asked.
    fn is_answer_of(&self, iss: Option<&str>) -> bool {
        match iss {
            // Without a name there is none to compare with; each connection has its own callback.
            _ if self.issuers.is_empty() => true,
            Some(named) => self.issuers.iter().any(|expected| expected == named),
            None => !self.names_itself,
        }
    }
}

/// The one answer to a callback that is not for this browser, or not any more.
pub(super) fn foreign() -> Problem {
    Problem::bad_request(
        "This sign-in was not started in this browser, took too long, or was finished already. Start again.",
    )
    .with_link("/login", "Sign in")
}

/// The flow cookie of a `state`. A cookie for each, so that two tabs do not disturb each other.
pub(super) fn cookie_name(auth: &Auth, state: &str) -> String {
    format!("{}{}", prefix(auth), &hash_hex(state)[..8])
}

fn prefix(auth: &Auth) -> String {
    auth.origins.cookie("portico_flow_")
}

/// `Set-Cookie` values that remove the oldest flow cookies, so that one more has room.
fn oldest(auth: &Auth, headers: &HeaderMap) -> Vec<HeaderValue> {
    let prefix = prefix(auth);
    let hex = |name: &str| name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let mut flows: Vec<(i64, &str)> = cookies::all(headers)
        .filter(|(name, _)| name.strip_prefix(&*prefix).is_some_and(hex))
        // One without a time is none of ours: as old as can be.
        .map(|(name, value)| (value.split('.').next().and_then(|at| at.parse().ok()).unwrap_or(0), name))
        .collect();
    flows.sort_unstable();
    let surplus = (flows.len() + 1).saturating_sub(MOST);
    flows[..surplus].iter().map(|(_, name)| cookies::clear(name)).collect()
}
