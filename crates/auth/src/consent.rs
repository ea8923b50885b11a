//! The question to the person, and what their answer does.
//!
//! Invariants:
//! - Nothing but a `POST` from our own page, in the browser of the transaction, decides.
//! - The page's CSRF token covers everything that the page shows. Nothing is stored for it, so pages in
//!   two tabs do not disturb each other.
//! - A stranger and an absent server get the same page.

mod decide;
mod memory;
mod page;

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, Uri};
use http_kit::{ClientAddress, Fields, Problem};
use model::{Resource, TenantId};
use protocol::oauth::percent_encode;
use storage::repo::{Connection, ConnectionOwner};

use self::page::{Account, Asking, Page};
pub(crate) use self::{
    decide::{agreed_before, back, post},
    memory::CONSENTS,
};
use crate::{
    Auth, access,
    connect::{self, Purpose},
    flow::{self, Stage, Transaction},
    refusal::refusal,
    session::{BrowserSession, SignedIn},
    signin,
};

pub(crate) const PATH: &str = "/oauth/consent";
pub(crate) const CONTINUE_PATH: &str = "/oauth/continue/{txn}";

/// The way to a transaction's provider, for those who have to try again.
pub(crate) fn onward_path(txn: &str) -> String {
    CONTINUE_PATH.replace("{txn}", txn)
}

/// Where a transaction's page is.
pub(crate) fn path(txn: &str) -> String {
    format!("{PATH}?txn={txn}")
}

/// The page again: after sign-in, after a provider.
pub(crate) async fn get(
    State(auth): State<Auth>,
    session: BrowserSession,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri).map_err(|_| Problem::bad_request("The address has a field twice."))?;
    let transaction = flow::load(&auth, &headers, fields.text("txn")).await?;
    show(&auth, &transaction, session.signed_in.as_ref()).await
}

/// The last stop on the way to a provider: a page of its own, which ends the chain of redirects behind
/// the form.
pub(crate) async fn onward(
    State(auth): State<Auth>,
    from: ClientAddress,
    headers: HeaderMap,
    Path(txn): Path<String>,
) -> Result<Response, Problem> {
    let transaction = flow::load(&auth, &headers, &txn).await?;
    let Stage::Consented { connection } = transaction.stage() else {
        return Ok(Redirect::to(&path(&txn)).into_response());
    };
    let connection = auth.repos.connections.connection(connection).await?;
    let connection = connection.filter(|connection| connection.enabled).ok_or_else(Problem::not_found)?;
    // Each departure is remembered; one transaction may have any number.
    auth.attempts.depart(from).await?;
    connect::start(&auth, &connection, Purpose::Authorization { txn }, &headers).await
}

/// The page that a transaction needs now.
pub(crate) async fn show(
    auth: &Auth,
    transaction: &Transaction,
    signed_in: Option<&SignedIn>,
) -> Result<Response, Problem> {
    if let Some(person) = transaction.person(signed_in) {
        return ask(auth, transaction, person).await;
    }
    let connections = connections(auth, transaction.request().resource.as_ref()).await?;
    if connections.is_empty() {
        return Ok(Redirect::to(&sign_in_path(transaction, signed_in.is_some())).into_response());
    }
    let anonymous =
        Account::None { connections: &connections, sign_in: sign_in_path(transaction, signed_in.is_some()) };
    Page::new(auth, transaction, anonymous, Asking::of(transaction.request(), None)).response()
}

/// The page for somebody who is signed in.
async fn ask(auth: &Auth, transaction: &Transaction, person: &SignedIn) -> Result<Response, Problem> {
    let (user, method) = (&person.user, person.method);
    let account = || Account::of(user, sign_in_path(transaction, true));
    let asking = match &transaction.request().resource {
        Some(resource) => match target(auth, person, resource).await? {
            Some(target) => Asking::Server { tenant: target.tenant_name, server: target.server.name.to_string() },
            None => return Page::new(auth, transaction, account(), Asking::Nothing).response(),
        },
        None => match access::choices(auth, user.id, method).await.map_err(refusal)? {
            some if some.iter().any(|choice| is_of_issuer(auth, transaction, &choice.resource)) => {
                let own = some.into_iter().filter(|choice| is_of_issuer(auth, transaction, &choice.resource));
                Asking::Choice(own.collect())
            }
            _ => Asking::Nothing,
        },
    };
    Page::new(auth, transaction, account(), asking).response()
}

/// The server of a resource, if the person may use it.
async fn target(auth: &Auth, person: &SignedIn, resource: &Resource) -> Result<Option<access::Target>, Problem> {
    let Ok((_, path)) = Resource::parse(&auth.origins.mcp, resource.as_str()) else {
        return Ok(None);
    };
    access::usable(auth, person.user.id, person.method, &path).await.map_err(refusal)
}

/// Whether the issuer of a request issues tokens for a resource.
fn is_of_issuer(auth: &Auth, transaction: &Transaction, resource: &Resource) -> bool {
    let path = Resource::parse(&auth.origins.mcp, resource.as_str());
    path.is_ok_and(|(_, path)| transaction.request().issuer.covers(&path))
}

/// The connections through which somebody may sign in for a resource: the platform's and the tenant's.
async fn connections(auth: &Auth, resource: Option<&Resource>) -> Result<Vec<Connection>, Problem> {
    let mut all = auth.repos.connections.list(ConnectionOwner::Platform).await?;
    if let Some(tenant) = resource.and_then(|resource| tenant_of(auth, resource)) {
        all.extend(auth.repos.connections.list(ConnectionOwner::Tenant(tenant)).await?);
    }
    all.retain(|connection| connection.enabled);
    Ok(all)
}

fn tenant_of(auth: &Auth, resource: &Resource) -> Option<TenantId> {
    let (_, path) = Resource::parse(&auth.origins.mcp, resource.as_str()).ok()?;
    auth.directory.tenant(&path.tenant).map(|tenant| tenant.id)
}

/// To sign-in and back here. `again`: even if somebody is signed in.
fn sign_in_path(transaction: &Transaction, again: bool) -> String {
    let mut path = signin::login_path(&path(&transaction.id));
    if again {
        path.push_str("&again=1");
    }
    if let Some(hint) = &transaction.request().login_hint {
        path.push_str("&hint=");
        path.push_str(&percent_encode(hint));
    }
    path
}

#[cfg(test)]
mod tests;
