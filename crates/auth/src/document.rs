//! Clients that are metadata documents (CIMD): the `client_id` is the https address of the client's own description
//! (draft-ietf-oauth-client-id-metadata-document).
//!
//! Invariants, in the order in which they are held:
//! - The address is judged as raw text, then the policy, then the limits; only then anything is fetched.
//! - What is fetched goes through the guarded client, without redirects, in little time and space.
//! - A document speaks for its own address and nobody else's, and for redirect URIs that its address makes
//!   believable. What was shown to a person is what the host of the address says.
//! - A document that cannot be had logs nobody out: those who have tokens go on with the last good one.

mod fetch;
mod read;
mod remembered;

use std::{sync::Arc, time::Duration};

use http_kit::{Budget, Limit, Problem, Spent, WhenAway};
use model::{Clock, Timestamp};
use moka::sync::Cache;
use protocol::oauth::DocumentUrl;
use storage::{
    KeyValue, StorageError,
    repo::{Client, PolicyMode},
};
use tokio::sync::{Mutex, Semaphore};

use self::{
    fetch::{Fetched, NotFetched},
    remembered::{LastGood, last_good},
};
pub(crate) use self::{read::Described, remembered::LAST_GOOD};
use crate::Auth;

/// How many addresses are kept in memory; beyond it, those that are asked for least go.
const MOST_SLOTS: u64 = 5_000;
/// How many documents are fetched at a time.
const AT_A_TIME: usize = 32;
/// How often documents of one host are fetched.
const OF_A_HOST: Limit = Limit { burst: 10, every: Duration::from_secs(6) };
/// How often one caller has documents fetched that nobody has asked for yet.
const FOR_A_CALLER: Limit = Limit { burst: 20, every: Duration::from_secs(10) };
/// How often documents are fetched at all.
const ALTOGETHER: Limit = Limit { burst: 300, every: Duration::from_secs(1) };
/// For so long an address that failed is not asked again.
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// For so long after its time a document stands for new requests when its address does not answer.
const OUTLIVES: Duration = Duration::from_hours(24);

/// What is known about one address.
#[derive(Default)]
struct Slot {
    good: Option<Good>,
    failed_at: Option<(Timestamp, NoDocument)>,
}

/// A document that was read.
#[derive(Clone)]
struct Good {
    document: Arc<Described>,
    fresh_until: Timestamp,
}

/// The documents of this process, and what limits their fetching.
pub(crate) struct Documents {
    slots: Cache<String, Arc<Mutex<Slot>>>,
    running: Semaphore,
    by_host: Budget,
    by_caller: Budget,
    altogether: Budget,
}

impl Documents {
    pub(crate) fn new(kv: &Arc<dyn KeyValue>, clock: &Arc<dyn Clock>) -> Self {
        let budget = |name, limit| Budget::new(name, limit, WhenAway::CountAlone, kv, clock);
        Self {
            slots: Cache::new(MOST_SLOTS),
            running: Semaphore::new(AT_A_TIME),
            by_host: budget("documents of a host", OF_A_HOST),
            by_caller: budget("documents for a caller", FOR_A_CALLER),
            altogether: budget("documents", ALTOGETHER),
        }
    }
}

/// Why an address is not a client now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoDocument {
    /// The address cannot be one, or the installation does not take its host.
    Refused,
    /// It is not to be had: no connection, no time, not 200.
    Unavailable,
    /// It was had, and breaks the rules; what is wrong is for the log.
    Invalid(&'static str),
    /// Too many are being fetched.
    Busy(Duration),
}

/// Why there is no client.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// The document.
    Document(NoDocument),
    /// Our own store.
    Storage(StorageError),
}

impl From<StorageError> for Unresolved {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Unresolved> for Problem {
    fn from(error: Unresolved) -> Self {
        match error {
            Unresolved::Storage(error) => error.into(),
            Unresolved::Document(NoDocument::Busy(wait)) => Self::too_many(wait),
            Unresolved::Document(NoDocument::Refused) => {
                Self::bad_request("This application is not known here, and its address is not one to ask.")
            }
            Unresolved::Document(NoDocument::Unavailable) => {
                Self::bad_request("The application's description is not to be had at its address. Try again later.")
            }
            Unresolved::Document(NoDocument::Invalid(_)) => {
                Self::bad_request("The application's description at its address is not one that can be used here.")
            }
        }
    }
}

/// For whom a document is wanted.
#[derive(Clone, Copy)]
pub(crate) enum For<'a> {
    /// A request for something new, by a caller from this neighbourhood.
    Request(&'a str),
    /// Whoever holds a code or a refresh token.
    Holder,
}

/// The client of a `client_id` that is an address.
pub(crate) async fn resolve(auth: &Auth, client_id: &str, wanted: For<'_>) -> Result<Client, Unresolved> {
    let refused = Unresolved::Document(NoDocument::Refused);
    let policy = &auth.config.documents;
    let Ok(address) = DocumentUrl::parse(client_id, policy.local) else { return Err(refused) };
    let welcome = match policy.mode {
        PolicyMode::Off => false,
        PolicyMode::Allowlist => policy.hosts.iter().any(|host| host == address.host),
        PolicyMode::Open => true,
    };
    if !welcome {
        return Err(refused);
    }
    let slot = auth.documents.slots.get_with(client_id.to_owned(), Arc::default);
    // Whoever comes while one is fetching waits for what it brings.
    let mut slot = slot.lock().await;
    let now = auth.clock.now();
    if let Some(good) = slot.good.as_ref().filter(|good| now < good.fresh_until) {
        return Ok(good.document.client(auth));
    }
    let failure = match slot.failed_at {
        Some((at, failure)) if now.since(at) < LEFT_ALONE => failure,
        _ => match refresh(auth, &mut slot, &address, wanted).await? {
            Ok(client) => return Ok(client),
            Err(failure) => failure,
        },
    };
    stand_in(auth, &mut slot, client_id, wanted, failure).await
}

/// Fetches the document, and keeps what came of it.
async fn refresh(
    auth: &Auth,
    slot: &mut Slot,
    address: &DocumentUrl<'_>,
    wanted: For<'_>,
) -> Result<Result<Client, NoDocument>, StorageError> {
    if let Err(wait) = allowed(auth, address, wanted).await? {
        return Ok(Err(NoDocument::Busy(wait)));
    }
    let Ok(_running) = auth.documents.running.try_acquire() else {
        return Ok(Err(NoDocument::Busy(Duration::from_secs(1))));
    };
    let now = auth.clock.now();
    let fetched = fetch::fetch(&auth.outbound, address).await;
    let read = fetched.map_err(NoDocument::from).and_then(|Fetched { body, keep }| {
        let document = read::read(&body, address, &auth.config).map_err(NoDocument::Invalid)?;
        Ok(Good { document: Arc::new(document), fresh_until: now + keep })
    });
    match read {
        Ok(good) => {
            let client = good.document.client(auth);
            remembered::renew(auth, address.text, &good.document).await?;
            *slot = Slot { good: Some(good), failed_at: None };
            Ok(Ok(client))
        }
        Err(failure) => {
            tracing::info!(client = address.text, ?failure, "a client's metadata document cannot be used");
            slot.failed_at = Some((now, failure));
            Ok(Err(failure))
        }
    }
}

impl From<NotFetched> for NoDocument {
    fn from(error: NotFetched) -> Self {
        match error {
            NotFetched::Away => Self::Unavailable,
            NotFetched::Broken(why) => Self::Invalid(why),
        }
    }
}

/// Whether one more may be fetched: by the caller, of the host, and at all.
async fn allowed(
    auth: &Auth,
    address: &DocumentUrl<'_>,
    wanted: For<'_>,
) -> Result<Result<(), Duration>, StorageError> {
    let documents = &auth.documents;
    if let For::Request(from) = wanted
        && let Err(spent) = documents.by_caller.take(from).await
    {
        return wait(spent);
    }
    for (budget, key) in [(&documents.by_host, address.host), (&documents.altogether, "all")] {
        if let Err(spent) = budget.take(key).await {
            return wait(spent);
        }
    }
    Ok(Ok(()))
}

fn wait(spent: Spent) -> Result<Result<(), Duration>, StorageError> {
    match spent {
        Spent::Wait(wait) => Ok(Err(wait)),
        Spent::Away(error) => Err(error),
    }
}

/// What goes on when the document is not to be had. Who holds tokens does, with the last good one: somebody
/// else's outage logs nobody out. Who asks for something new does for a day. A document that is there and
/// breaks the rules has no stand-in for new requests.
async fn stand_in(
    auth: &Auth,
    slot: &mut Slot,
    client_id: &str,
    wanted: For<'_>,
    failure: NoDocument,
) -> Result<Client, Unresolved> {
    let nothing = Unresolved::Document(failure);
    let now = auth.clock.now();
    match wanted {
        For::Request(_) if matches!(failure, NoDocument::Invalid(_)) => Err(nothing),
        For::Request(_) => {
            let young = slot.good.as_ref().filter(|good| now < good.fresh_until + OUTLIVES);
            young.map(|good| good.document.client(auth)).ok_or(nothing)
        }
        For::Holder => {
            if let Some(good) = &slot.good {
                return Ok(good.document.client(auth));
            }
            match last_good(auth).get(client_id).await? {
                Some(kept) => Ok(kept.value.document.client(auth)),
                None => Err(nothing),
            }
        }
    }
}

/// Keeps the document of a client that a person has just allowed something, for as long as what was allowed can
/// live, so that it outlives the process and an outage of its host.
pub(crate) async fn remember(auth: &Auth, client_id: &str) -> Result<(), StorageError> {
    let Some(slot) = auth.documents.slots.get(client_id) else { return Ok(()) };
    let good = slot.lock().await.good.clone();
    let Some(good) = good else { return Ok(()) };
    last_good(auth).put(client_id, &LastGood { document: (*good.document).clone() }).await.map(drop)
}
