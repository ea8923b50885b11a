use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::HeaderMap;
use http_kit::{Fields, Problem};
use model::{GrantId, Resource, TenantId, random_token};
use protocol::oauth::{AuthorizationResponse, DocumentUrl, ErrorCode};
use storage::{
    StorageError,
    repo::{Actor, Client, Code, Grant, GrantState},
};

use super::{memory, page::check_csrf};
use crate::{
    Auth,
    access::Target,
    admission,
    client::{self, hash},
    document::{self, For},
    flow::{self, Request, Stage, Transaction},
    refusal::refusal,
    session::{BrowserSession, SignedIn},
};

/// The person's answer.
pub(crate) async fn post(
    State(auth): State<Auth>,
    session: BrowserSession,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Problem> {
    let transaction = flow::load(&auth, &headers, fields.text("txn")).await?;
    let account = fields.text("account");
    if !check_csrf(&auth, &transaction, account, fields.text("csrf")) {
        return Err(Problem::bad_request(
            "This form is out of date or was changed. Go back to the application and connect again.",
        ));
    }
    match (fields.text("decision"), fields.get("connection")) {
        ("deny", _) => deny(&auth, transaction, session).await,
        ("allow", Some(connection)) => sign_in(&auth, &transaction, connection).await,
        ("allow", None) => allow(&auth, transaction, session, &fields).await,
        _ => Err(Problem::bad_request("The answer must be to allow or to deny.")),
    }
}

async fn deny(auth: &Auth, transaction: Transaction, session: BrowserSession) -> Result<Response, Problem> {
    take(auth, &transaction).await?;
    let request = transaction.request();
    let actor = session.signed_in.as_ref().map_or(Actor::Anonymous, |person| Actor::User(person.user.id));
    let mut event = auth.audit(actor, "authorization.denied", &request.client_id);
    if let Some(tenant) = request.resource.as_ref().and_then(|resource| super::tenant_of(auth, resource)) {
        event = event.in_tenant(tenant);
    }
    auth.repos.audit.append(&event).await?;
    let outcome = Err((ErrorCode::AccessDenied, "the person did not allow it"));
    back(auth, session, request, outcome).await
}

/// Allowed before anybody is signed in: to the provider, and from there to the confirm page.
async fn sign_in(auth: &Auth, transaction: &Transaction, callback: &str) -> Result<Response, Problem> {
    let offered = super::connections(auth, transaction.request().resource.as_ref()).await?;
    let chosen = offered.into_iter().find(|connection| connection.callback == callback);
    let connection = chosen.ok_or_else(|| Problem::bad_request("There is no such way to sign in here."))?.id;
    if !transaction.advance(auth, Stage::Consented { connection }).await? {
        return Err(flow::done());
    }
    Ok(Redirect::to(&format!("/oauth/continue/{}", transaction.id)).into_response())
}

async fn allow(
    auth: &Auth,
    transaction: Transaction,
    session: BrowserSession,
    fields: &Fields,
) -> Result<Response, Problem> {
    // Signed out, or somebody else by now: they have to see the page first.
    let person = transaction.person(session.signed_in.as_ref()).cloned();
    let Some(person) = person.filter(|person| person.user.id.to_string() == fields.text("account")) else {
        return Ok(Redirect::to(&super::path(&transaction.id)).into_response());
    };
    let resource = match &transaction.request().resource {
        Some(resource) => Some(resource.clone()),
        None => Resource::parse(&auth.origins.mcp, fields.text("resource"))
            .ok()
            .filter(|(_, path)| transaction.request().issuer.covers(path))
            .map(|(resource, _)| resource),
    };
    let Some(resource) = resource else {
        return Err(Problem::bad_request("Choose the server that the application may use."));
    };
    let Some(target) = super::target(auth, &person, &resource).await? else {
        return super::show(auth, &transaction, Some(&person)).await;
    };
    if !still_the_same(auth, transaction.request(), target.server.tenant).await? {
        return Err(Problem::bad_request(
            "The application has changed since this page was shown, or may not be used here. Connect again.",
        ));
    }
    take(auth, &transaction).await?;
    let request = transaction.request();
    let Some((code, grant)) = authorize(auth, request, &person, &target, "grant.consented").await? else {
        let gone = Err((ErrorCode::AccessDenied, "the server is no longer open to the person"));
        return back(auth, session, request, gone).await;
    };
    if let Err(error) = note(auth, request, &person, &target, grant).await {
        // The person has decided, and the grant is there. The code's redemption notes the use again, and what is
        // not remembered is asked again.
        tracing::warn!(error = &error as &dyn std::error::Error, "a decision cannot be noted");
    }
    back(auth, session, request, Ok(&code)).await
}

/// A code without a question, if the person agreed to exactly this before ([`memory`](super::memory)).
pub(crate) async fn agreed_before(
    auth: &Auth,
    request: &Request,
    client: &Client,
    person: &SignedIn,
    headers: &HeaderMap,
) -> Result<Option<String>, Problem> {
    let Some(resource) = &request.resource else { return Ok(None) };
    let Some(target) = super::target(auth, person, resource).await? else { return Ok(None) };
    if !memory::covers(auth, request, person, &target, headers).await.map_err(refusal)? {
        return Ok(None);
    }
    let Some((code, grant)) = authorize(auth, request, person, &target, "grant.consent_remembered").await? else {
        return Ok(None);
    };
    memory::renewed(auth, request, person, &target, grant).await?;
    client::used(auth, client).await?;
    Ok(Some(code))
}

/// Whether the client is what the page showed, and one that the tenant of the chosen server lets in.
async fn still_the_same(auth: &Auth, request: &Request, tenant: TenantId) -> Result<bool, Problem> {
    let Some(client) = client::resolve(auth, &request.client_id, For::Holder).await? else { return Ok(false) };
    Ok(client::fingerprint(&client) == request.client_fingerprint
        && admission::admits(auth, tenant, &client, &request.redirect_uri).await?)
}

/// Writes down what was allowed, and the code for it. `None` if the server or the person's way to it was
/// taken away while they decided.
async fn authorize(
    auth: &Auth,
    request: &Request,
    person: &SignedIn,
    target: &Target,
    action: &str,
) -> Result<Option<(String, GrantId)>, Problem> {
    let (now, lifetimes) = (auth.clock.now(), auth.config.lifetimes);
    let access = auth.directory.token_policy(target.server.tenant).access.unwrap_or(lifetimes.access);
    let lives = if request.may_refresh { lifetimes.grant } else { lifetimes.code + access };
    let grant = Grant {
        id: auth.id(),
        user: person.user.id,
        method: person.method,
        tenant: target.server.tenant,
        server: target.server.id,
        client_id: request.client_id.clone(),
        client_name: request.client_name.clone(),
        resource: target.resource.clone(),
        scopes: request.scopes.clone(),
        state: GrantState::Pending,
        version: 1,
        created_at: now,
        last_used_at: None,
        expires_at: now + lives,
    };
    let text = random_token(&*auth.entropy, "");
    let code = Code {
        hash: hash(&text),
        grant: grant.id,
        redirect_uri: request.redirect_uri.clone(),
        redirect_uri_sent: request.redirect_uri_sent,
        challenge: request.challenge.clone(),
        expires_at: now + lifetimes.code,
        used_at: None,
        failures: 0,
    };
    let event = auth.audit(Actor::User(person.user.id), action, grant.id).in_tenant(grant.tenant);
    let event = event.with(serde_json::json!({ "client": grant.client_id, "scopes": grant.scopes.to_string() }));
    match auth.repos.grants.authorize(&grant, &code, &event).await {
        Err(StorageError::Missing(_)) => return Ok(None),
        done => done?,
    }
    Ok(Some((text, grant.id)))
}

/// Notes that the client is used, and what the person decided.
async fn note(
    auth: &Auth,
    request: &Request,
    person: &SignedIn,
    target: &Target,
    grant: GrantId,
) -> storage::Result<()> {
    if DocumentUrl::is_meant(&request.client_id) {
        document::remember(auth, &request.client_id).await?;
    } else if let Some(client) = client::find(auth, &request.client_id).await? {
        client::used(auth, &client).await?;
    }
    memory::remember(auth, request, person, target, grant).await
}

/// Of several answers to one question, the first counts.
async fn take(auth: &Auth, transaction: &Transaction) -> Result<(), Problem> {
    if transaction.take(auth).await? { Ok(()) } else { Err(flow::done()) }
}

/// Sends the browser back to the client.
pub(crate) async fn back(
    auth: &Auth,
    mut session: BrowserSession,
    request: &Request,
    outcome: Result<&str, (ErrorCode, &'static str)>,
) -> Result<Response, Problem> {
    // Cookies ignore ports: whatever listens on our own host would get this browser's session cookie.
    // So the session ends, here and in the browser, with the very answer that leads there.
    if leads_to_our_host(auth, &request.redirect_uri) {
        session.end().await?;
    }
    let response = AuthorizationResponse { issuer: request.issuer.url(), state: request.state.as_deref(), outcome };
    Ok(Redirect::to(&response.url(&request.redirect_uri)).into_response())
}

/// Whether a URL has the host name of one of our own origins, on whatever port. Of https too: `Secure` and
/// `__Host-` keep a cookie from other names, not from other ports.
fn leads_to_our_host(auth: &Auth, redirect_uri: &str) -> bool {
    let ours = |own: &&String| host(own).eq_ignore_ascii_case(host(redirect_uri));
    redirect_uri.starts_with("http") && [&auth.origins.auth, &auth.origins.app].iter().any(ours)
}

/// The host of a URL, without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}
