//! `GET` and `POST /oauth/authorize`: from a client's request to the question to the person.
//!
//! Invariant: no answer of this endpoint redirects to a client, but for one case: the person agreed to exactly
//! this before, in this browser's session, and the rules of [`consent::memory`] hold. Errors are pages; once client and
//! redirect URI are known to belong together, the page has a link back with the error.

mod faults;
mod read;

use axum::{
    body::{Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, StatusCode, Uri, header};
use http_kit::{ClientAddress, Problem};
use model::{Resource, TenantId};
use protocol::oauth::{AuthorizationResponse, DocumentUrl, InvalidParams, Params};
use storage::repo::Client;
use url::form_urlencoded;

use self::{
    faults::{Fault, Stray},
    read::Prompt,
};
use crate::{
    Auth, admission, client, consent,
    document::For,
    flow,
    issuer::Issuer,
    pages,
    session::{BrowserSession, SignedIn},
};

pub(crate) const PATH: &str = "/oauth/authorize";
/// The longest form that is read: what fits into an address.
const MAX_FORM: usize = 8 * 1024;

impl From<Stray> for Problem {
    fn from(stray: Stray) -> Self {
        Self::bad_request(stray.text())
    }
}

/// The same request as a form (OpenID Connect Core §3.1.2.1). Browsers send no cookies of ours along with a form of
/// another site, so it becomes an address of ours, with which they do.
pub(crate) async fn post(issuer: Issuer, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(Stray::Malformed.into());
    }
    let body: Bytes = to_bytes(body, MAX_FORM).await.map_err(|_| Stray::TooLong)?;
    // Written anew: nothing that a header cannot hold gets into one. Repeated parameters stay, and are refused.
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(&body)).finish();
    Ok(Redirect::to(&format!("{}?{query}", issuer.path(PATH))).into_response())
}

pub(crate) async fn get(
    State(auth): State<Auth>,
    issuer: Issuer,
    from: ClientAddress,
    session: BrowserSession,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(uri.query().unwrap_or_default()).map_err(|error| match error {
        InvalidParams::Repeated(_) => Stray::Repeated,
        InvalidParams::Encoding | InvalidParams::TooMany => Stray::Malformed,
    })?;
    let neighbourhood = from.neighbourhood().to_string();
    let (client, redirect) = sender(&auth, &issuer, &params, &neighbourhood).await?;
    let (request, prompt) = match read::read(&auth, &issuer, &client, &params, redirect.clone()) {
        Ok(read) => read,
        Err(fault) => return refuse(&issuer, &redirect.0, &params, fault),
    };
    let person = session.signed_in.clone().filter(|person| counts(&auth, &prompt, person));
    if let Some(person) = &person
        && !prompt.consent
        && let Some(code) = consent::agreed_before(&auth, &request, &client, person, &headers).await?
    {
        return consent::back(&auth, session, &request, Ok(&code)).await;
    }
    if prompt.none {
        let fault = if person.is_some() { Fault::NotAgreed } else { Fault::NobodySignedIn };
        return refuse(&issuer, &redirect.0, &params, fault);
    }
    auth.authorizations.take(&neighbourhood).await?;
    let sign_in_again = session.signed_in.is_some() && person.is_none();
    let request = flow::Request { sign_in_again: request.sign_in_again || sign_in_again, ..request };
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
    Problem::new(StatusCode::FORBIDDEN, "not_admitted", Stray::NotAdmitted.text())
}

/// Whether the session counts for this request.
fn counts(auth: &Auth, prompt: &Prompt, person: &SignedIn) -> bool {
    let age = auth.clock.now().since(person.at);
    !prompt.sign_in && prompt.max_age.is_none_or(|most| age <= most)
}

/// Who asks, and where the answer goes: known to belong together before anything else is looked at. What the tenant
/// thinks of a metadata document's address is asked before anything is fetched from there.
async fn sender(
    auth: &Auth,
    issuer: &Issuer,
    params: &Params,
    neighbourhood: &str,
) -> Result<(Client, (String, bool)), Problem> {
    let id = params.get("client_id").ok_or(Stray::NoClient)?;
    let tenant = params.get("resource").and_then(|resource| tenant_of(auth, resource));
    if let Some(tenant) = tenant.filter(|_| DocumentUrl::is_meant(id))
        && !admission::admits_address(auth, tenant, id).await?
    {
        return Err(not_admitted());
    }
    let client = client::resolve(auth, id, For::Request(neighbourhood)).await?;
    let client = client.filter(|client| issuer.has_client(auth, client)).ok_or(Stray::UnknownClient)?;
    let redirect = client::redirect(&client, params.get("redirect_uri")).ok_or(Stray::Redirect)?;
    if client::is_ours(auth, &redirect.0) {
        return Err(Stray::OurOwn.into());
    }
    if let Some(tenant) = tenant
        && !admission::admits(auth, tenant, &client, &redirect.0).await?
    {
        return Err(not_admitted());
    }
    Ok((client, redirect))
}

fn refuse(issuer: &Issuer, redirect_uri: &str, params: &Params, fault: Fault) -> Result<Response, Problem> {
    let (code, description) = fault.answer();
    let outcome = Err((code, description));
    let url = AuthorizationResponse { issuer: issuer.url(), state: params.get("state"), outcome }.url(redirect_uri);
    pages::client_fault(code, description, &url)
}
