//! Reading an authorization request: every check that needs no person, in this order.

use std::time::Duration;

use model::{Resource, ScopeSet};
use protocol::oauth::{CodeChallenge, Params};
use storage::repo::Client;

use super::faults::Fault;
use crate::{Auth, client, flow, issuer::Issuer};

/// The longest `state`, in bytes: it is kept for as long as the person takes, for anybody who asks.
const MAX_STATE: usize = 4096;
/// The longest `login_hint` that is looked at, in bytes: as long as an address can be.
const MAX_HINT: usize = 254;

/// The checks that look at one parameter each, in order. The first fault is the answer.
const CHECKS: [fn(&Params) -> Option<Fault>; 6] = [
    |params| params.get("request").map(|_| Fault::RequestObject),
    |params| params.get("request_uri").map(|_| Fault::RequestUri),
    |params| match params.get("response_type") {
        Some("code") => None,
        Some(_) => Some(Fault::ResponseType),
        None => Some(Fault::NoResponseType),
    },
    |params| params.get("response_mode").filter(|mode| *mode != "query").map(|_| Fault::ResponseMode),
    |params| params.get("state").filter(|state| state.len() > MAX_STATE).map(|_| Fault::State),
    // PKCE is not optional, and a missing method means `plain` (RFC 7636 §4.3), which is not taken.
    |params| match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (None, _) => Some(Fault::NoChallenge),
        (Some(_), Some("S256")) => None,
        (Some(_), _) => Some(Fault::ChallengeMethod),
    },
];

/// What a request says about the person's session (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Show nothing.
    pub(super) none: bool,
    /// Ask, whatever was agreed to before.
    pub(super) consent: bool,
    /// A session from before this request does not count.
    pub(super) sign_in: bool,
    /// Nor does one that is older than this.
    pub(super) max_age: Option<Duration>,
}

/// The request, and what it wants of the session.
pub(super) fn read(
    auth: &Auth,
    issuer: &Issuer,
    client: &Client,
    params: &Params,
    redirect: (String, bool),
) -> Result<(flow::Request, Prompt), Fault> {
    if let Some(fault) = CHECKS.iter().find_map(|check| check(params)) {
        return Err(fault);
    }
    let challenge = params.get("code_challenge").unwrap_or_default();
    let challenge = CodeChallenge::parse(challenge).map_err(|_| Fault::Challenge)?;
    let resource = resource(auth, issuer, params)?;
    let prompt = prompt(params)?;
    let request = flow::Request {
        issuer: issuer.clone(),
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
        sign_in_again: prompt.sign_in,
        login_hint: hint(params),
    };
    Ok((request, prompt))
}

fn resource(auth: &Auth, issuer: &Issuer, params: &Params) -> Result<Option<Resource>, Fault> {
    let Some(text) = params.get("resource") else { return Ok(None) };
    let (resource, path) = Resource::parse(&auth.origins.mcp, text).map_err(|_| Fault::Resource)?;
    if issuer.covers(&path) { Ok(Some(resource)) } else { Err(Fault::OtherIssuer) }
}

fn prompt(params: &Params) -> Result<Prompt, Fault> {
    let mut prompt = Prompt::default();
    let words = params.get("prompt").unwrap_or_default();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "login" | "select_account" => prompt.sign_in = true,
            "consent" => prompt.consent = true,
            // With another word it contradicts itself.
            "none" if words == "none" => prompt.none = true,
            _ => return Err(Fault::Prompt),
        }
    }
    if let Some(text) = params.get("max_age") {
        let seconds: u32 = text.parse().map_err(|_| Fault::MaxAge)?;
        prompt.max_age = Some(Duration::from_secs(seconds.into()));
    }
    Ok(prompt)
}

/// Whom the client expects: shown in the sign-in form and nowhere else. One that cannot be an address is left out.
fn hint(params: &Params) -> Option<String> {
    let hint = params.get("login_hint")?;
    (hint.len() <= MAX_HINT && !hint.chars().any(char::is_control)).then(|| hint.to_owned())
}

/// What the request may get: RFC 6749 §3.3 lets us grant less than was asked for, and real clients ask for
/// scopes of other servers, so unknown ones are left out; nothing left is an error.
fn scopes(client: &Client, params: &Params) -> Result<ScopeSet, Fault> {
    let asked: ScopeSet = match params.get("scope") {
        Some(text) => text.parse().map_err(|_| Fault::Scope)?,
        None => ScopeSet::challenge(),
    };
    let granted = asked.intersection(&client.scopes).intersection(&ScopeSet::supported());
    let useful = granted.iter().any(|scope| scope.as_str() != model::Scope::OFFLINE);
    if useful { Ok(granted) } else { Err(Fault::NoScope) }
}
