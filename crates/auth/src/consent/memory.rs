//! What a person agreed to before, so that they need not be asked again (oauth.md §4.5).
//!
//! Whoever can start a request in somebody's browser gets a code without a click when this says so. So it says so
//! only when all of this holds, and a question costs a click:
//!
//! - the same person, tenant, client, redirect URI and resource, and no scope more;
//! - the client says about itself what it said then;
//! - the redirect URI is https: what listens on a port of this computer, or answers to a scheme, may be anything;
//! - the browser says that no other site began this (`Sec-Fetch-Site`); one that says nothing is asked;
//! - what was agreed to then was not revoked since, by whomever, and still holds;
//! - it is not longer ago than ninety days.

use std::time::Duration;

use http::HeaderMap;
use model::{GrantId, Resource, ScopeSet, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use storage::{Collection, Durability, Keep, Keys, Lifetime, Owner, Stored, Values, repo::GrantState};

use crate::{Auth, access, flow::Request, session::SignedIn};

pub(crate) const CONSENTS: Collection =
    Collection { name: "consent", durability: Durability::Durable, format: 1, reads: &[] };

/// How long a decision is remembered, unless what it allowed ends earlier.
const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Agreed {
    redirect_uri: String,
    scopes: ScopeSet,
    /// What the client was, by its fingerprint.
    client: [u8; 32],
    /// What it allowed. When that is over, so is this.
    grant: GrantId,
    until: Timestamp,
}

impl Stored for Agreed {
    const COLLECTION: Collection = CONSENTS;
    const KEYS: Keys = Keys::Secret;
}

fn decisions(auth: &Auth, tenant: TenantId) -> Values<Agreed> {
    let until = Lifetime::each(|agreed: &Agreed, _| Keep::Until(agreed.until));
    Values::new(&auth.kv, &auth.clock, Owner::Tenant(tenant), until)
}

/// One for a person, a client and a resource: agreeing to another redirect URI replaces it. No part can hold what
/// separates them.
fn key(person: &SignedIn, client_id: &str, resource: &Resource) -> String {
    format!("{}\n{client_id}\n{resource}", person.user.id)
}

/// Whether the browser says that no other site began this request (Fetch Metadata). Silence is no.
fn began_here(headers: &HeaderMap) -> bool {
    let mut sent = headers.get_all("sec-fetch-site").into_iter();
    let (first, second) = (sent.next(), sent.next());
    second.is_none() && first.is_some_and(|value| value == "none" || value == "same-origin")
}

/// Whether the answer goes to a site, and not to whatever is on this computer.
fn may_be_remembered(request: &Request) -> bool {
    request.redirect_uri.starts_with("https://")
}

/// Whether the person agreed to this before, and need not be asked.
pub(super) async fn covers(
    auth: &Auth,
    request: &Request,
    person: &SignedIn,
    target: &access::Target,
    headers: &HeaderMap,
) -> Result<bool, registry::Error> {
    if !may_be_remembered(request) || !began_here(headers) {
        return Ok(false);
    }
    let decisions = decisions(auth, target.server.tenant);
    let Some(found) = decisions.get(&key(person, &request.client_id, &target.resource)).await? else {
        return Ok(false);
    };
    let agreed = found.value;
    if agreed.redirect_uri != request.redirect_uri
        || !agreed.scopes.contains_all(&request.scopes)
        || agreed.client != request.client_fingerprint
    {
        return Ok(false);
    }
    let Some(grant) = auth.repos.grants.grant(agreed.grant).await? else { return Ok(false) };
    let alive = !matches!(grant.state, GrantState::Revoked { .. }) && grant.expires_at > auth.clock.now();
    Ok(alive && grant.user == person.user.id && access::still_holds(auth, &grant).await?)
}

/// Remembers a decision that was just written down as a grant.
pub(super) async fn remember(
    auth: &Auth,
    request: &Request,
    person: &SignedIn,
    target: &access::Target,
    grant: GrantId,
) -> storage::Result<()> {
    // Of others it would never count.
    if !may_be_remembered(request) {
        return Ok(());
    }
    let decisions = decisions(auth, target.server.tenant);
    let key = key(person, &request.client_id, &target.resource);
    let agreed = Agreed {
        redirect_uri: request.redirect_uri.clone(),
        scopes: request.scopes.clone(),
        client: request.client_fingerprint,
        grant,
        until: auth.clock.now() + LIFETIME,
    };
    decisions.put(&key, &agreed).await.map(drop)
}

/// Notes that a remembered decision allowed something anew: when that is revoked, the decision is forgotten too. It
/// does not last longer for it, nor is it for more.
pub(super) async fn renewed(
    auth: &Auth,
    request: &Request,
    person: &SignedIn,
    target: &access::Target,
    grant: GrantId,
) -> storage::Result<()> {
    let decisions = decisions(auth, target.server.tenant);
    let key = key(person, &request.client_id, &target.resource);
    if let Some(found) = decisions.get(&key).await? {
        decisions.replace(&key, found.revision, &Agreed { grant, ..found.value }).await?;
    }
    Ok(())
}
