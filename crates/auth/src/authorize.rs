//! `GET /oauth/authorize`: from a client's request to the question to the person.
//!
//! Invariant: no answer of this endpoint redirects to a client. Errors are pages; once client and
//! redirect URI are known to belong together, the page has a link back with the error.

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode, Uri, header};
use http_kit::{ClientAddress, Problem};
use model::{Resource, ScopeSet, TenantId};
use protocol::oauth::{AuthorizationResponse, CodeChallenge, DocumentUrl, ErrorCode, InvalidParams, Params};
use storage::repo::Client;

use crate::{Auth, admission, client, consent, document::For, flow, pages, session::BrowserSession};

pub(crate) const PATH: &str = "/oauth/authorize";

/// The longest `state`, in bytes: it is kept for as long as the person takes, for anybody who asks.
const MAX_STATE: usize = 4096;

/// What is wrong with a request whose client and redirect URI are good.
type Fault = (ErrorCode, &'static str);

pub(crate) async fn get(
    State(auth): State<Auth>,
    from: ClientAddress,
    session: BrowserSession,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(uri.query().unwrap_or_default()).map_err(|error| malformed(&error))?;
    let id = params.get("client_id").ok_or_else(|| Problem::bad_request("The application did not say who it is."))?;
    let unknown = || {
        Problem::bad_request(
            "This application is not known here, or its registration has expired. Let it connect anew.",
        )
    };
    let tenant = params.get("resource").and_then(|resource| tenant_of(&auth, resource));
    if let Some(tenant) = tenant.filter(|_| DocumentUrl::is_meant(id))
        && !admission::admits_address(&auth, tenant, id).await?
    {
        return Err(not_admitted());
    }
    let neighbourhood = from.neighbourhood().to_string();
    let client = client::resolve(&auth, id, For::Request(&neighbourhood)).await?.ok_or_else(unknown)?;
    let redirect = client::redirect(&client, params.get("redirect_uri")).ok_or_else(|| {
        Problem::bad_request("The application wants the answer at an address that it has not registered.")
    })?;
    if client::is_ours(&auth, &redirect.0) {
        return Err(Problem::bad_request("The application wants the answer at an address of this site."));
    }
    if let Some(tenant) = tenant
        && !admission::admits(&auth, tenant, &client, &redirect.0).await?
    {
        return Err(not_admitted());
    }
    let request = match read(&auth, &client, &params, redirect.clone()) {
        Ok(request) => request,
        Err(fault) => return refuse(&auth, &redirect.0, &params, fault),
    };
    if params.get("prompt") == Some("none") {
        let fault = match session.signed_in {
            Some(_) => (ErrorCode::ConsentRequired, "a person has to agree"),
            None => (ErrorCode::LoginRequired, "nobody is signed in"),
        };
        return refuse(&auth, &redirect.0, &params, fault);
    }
    auth.authorizations.take(&neighbourhood).await?;
    let (transaction, cookie) = flow::begin(&auth, &headers, request).await?;
    let mut response = consent::show(&auth, &transaction, session.signed_in.as_ref()).await?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The tenant that a resource is of.
fn tenant_of(auth: &Auth, resource: &str) -> Option<TenantId> {
    let (_, path) = Resource::parse(&auth.origins.mcp, resource).ok()?;
    auth.directory.tenant(&path.tenant).map(|tenant| tenant.id)
}

/// What people read whose tenant does not want the client.
pub(crate) fn not_admitted() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "not_admitted",
        "This application is not one that may be used here. Whoever administers the server decides that.",
    )
}

fn malformed(error: &InvalidParams) -> Problem {
    Problem::bad_request(match error {
        InvalidParams::Repeated(_) => "The application's request has a parameter twice.",
        InvalidParams::Encoding | InvalidParams::TooMany => "The application's request is malformed.",
    })
}

/// Checks everything that needs no person.
fn read(auth: &Auth, client: &Client, params: &Params, redirect: (String, bool)) -> Result<flow::Request, Fault> {
    unsupported(params)?;
    if params.get("state").is_some_and(|state| state.len() > MAX_STATE) {
        return Err((ErrorCode::InvalidRequest, "the state is longer than 4096 bytes"));
    }
    let challenge = challenge(params)?;
    let resource = match params.get("resource") {
        Some(text) => match Resource::parse(&auth.origins.mcp, text) {
            Ok((resource, _)) => Some(resource),
            Err(_) => return Err((ErrorCode::InvalidTarget, "the resource is not one of this installation")),
        },
        None => None,
    };
    let mut sign_in_again = false;
    for prompt in params.get("prompt").unwrap_or_default().split(' ').filter(|prompt| !prompt.is_empty()) {
        match prompt {
            "login" | "select_account" => sign_in_again = true,
            "consent" => {}
            "none" if params.get("prompt") == Some("none") => {}
            _ => return Err((ErrorCode::InvalidRequest, "the prompt is not understood")),
        }
    }
    Ok(flow::Request {
        client_id: client.client_id.clone(),
        client_fingerprint: client::fingerprint(client),
        client_name: client.name.clone(),
        redirect_uri: redirect.0,
        redirect_uri_sent: redirect.1,
        state: params.get("state").map(ToOwned::to_owned),
        challenge: challenge.as_str().to_owned(),
        resource,
        scopes: scopes(client, params)?,
        may_refresh: client.may_refresh,
        sign_in_again,
    })
}

fn unsupported(params: &Params) -> Result<(), Fault> {
    if params.get("request").is_some() {
        return Err((ErrorCode::RequestNotSupported, "request objects are not supported"));
    }
    if params.get("request_uri").is_some() {
        return Err((ErrorCode::RequestUriNotSupported, "request URIs are not supported"));
    }
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => return Err((ErrorCode::UnsupportedResponseType, "the response_type must be code")),
        None => return Err((ErrorCode::InvalidRequest, "the response_type is missing")),
    }
    match params.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err((ErrorCode::InvalidRequest, "the response_mode must be query")),
    }
}

/// PKCE is not optional, and a missing method means `plain` (RFC 7636 §4.3), which is not taken.
fn challenge(params: &Params) -> Result<CodeChallenge, Fault> {
    let text = params.get("code_challenge").ok_or((ErrorCode::InvalidRequest, "the code_challenge is missing"))?;
    if params.get("code_challenge_method") != Some("S256") {
        return Err((ErrorCode::InvalidRequest, "the code_challenge_method must be S256"));
    }
    CodeChallenge::parse(text).map_err(|_| (ErrorCode::InvalidRequest, "the code_challenge is not one of S256"))
}

/// What the request may get: RFC 6749 §3.3 lets us grant less than was asked for, and real clients ask for
/// scopes of other servers, so unknown ones are left out; nothing left is an error.
fn scopes(client: &Client, params: &Params) -> Result<ScopeSet, Fault> {
    let asked: ScopeSet = match params.get("scope") {
        Some(text) => text.parse().map_err(|_| (ErrorCode::InvalidScope, "the scope is malformed"))?,
        None => ScopeSet::challenge(),
    };
    let granted = asked.intersection(&client.scopes).intersection(&ScopeSet::supported());
    let useful = granted.iter().any(|scope| scope.as_str() != model::Scope::OFFLINE);
    if useful { Ok(granted) } else { Err((ErrorCode::InvalidScope, "none of the scopes can be granted")) }
}

fn refuse(auth: &Auth, redirect_uri: &str, params: &Params, fault: Fault) -> Result<Response, Problem> {
    let (issuer, state) = (auth.issuer(), params.get("state"));
    let url = AuthorizationResponse { issuer, state, outcome: Err(fault) }.url(redirect_uri);
    pages::client_fault(fault.0, fault.1, &url)
}
