//! What a registration may say.

use model::ScopeSet;
use protocol::oauth::{
    DocumentUrl, Error, ErrorCode, RedirectKind, RedirectUri, RegistrationRequest, check_public_keys,
};
use storage::repo::{ApplicationType, AuthMethod, ClientKeys, ClientMetadata};
use unicode_normalization::UnicodeNormalization as _;

/// The most redirect URIs of one client.
const MAX_REDIRECTS: usize = 10;
/// The longest name, in characters.
const MAX_NAME: usize = 128;
/// The longest URI that is kept.
const MAX_URI: usize = 2048;

/// The longest contact and the longest name of a software, in bytes.
const MAX_TEXT: usize = 254;
/// The most contacts of one client.
const MAX_CONTACTS: usize = 5;

/// A registration that can be met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) auth_method: AuthMethod,
    pub(crate) scopes: ScopeSet,
    pub(crate) may_refresh: bool,
    pub(crate) application_type: ApplicationType,
    pub(crate) keys: ClientKeys,
    pub(crate) metadata: ClientMetadata,
}

const fn bad(why: &'static str) -> Error {
    Error::new(ErrorCode::InvalidClientMetadata, why)
}

/// Holds a registration to the rules. What may be replaced is (RFC 7591 §2): unknown grant types, scopes
/// and pages are dropped, and an app on somebody's device gets no secret, since it could not keep it.
pub(crate) fn read(request: &RegistrationRequest, private: &[String]) -> Result<Wanted, Error> {
    if request.software_statement.is_some() {
        return Err(Error::new(ErrorCode::InvalidSoftwareStatement, "software statements are not accepted"));
    }
    let redirects = redirects(request, private)?;
    let native = redirects.iter().all(|uri| uri.kind != RedirectKind::Https);
    let application_type = application_type(request, &redirects, native)?;
    let keys = keys(request)?;
    let auth_method = match request.token_endpoint_auth_method.as_deref() {
        Some("client_secret_basic") if !native => AuthMethod::ClientSecretBasic,
        Some("client_secret_post") if !native => AuthMethod::ClientSecretPost,
        Some("private_key_jwt") if keys != ClientKeys::None => AuthMethod::PrivateKeyJwt,
        Some("private_key_jwt") => return Err(bad("private_key_jwt needs jwks or jwks_uri")),
        None | Some("none" | "client_secret_basic" | "client_secret_post") => AuthMethod::None,
        Some(_) => return Err(bad("this token_endpoint_auth_method is not supported")),
    };
    if auth_method != AuthMethod::None && redirects.iter().any(|uri| uri.kind != RedirectKind::Https) {
        return Err(bad("a client that proves itself may have https redirect URIs only"));
    }
    let hosts: Vec<_> = redirects.iter().filter(|uri| uri.kind == RedirectKind::Https).map(|uri| uri.target).collect();
    Ok(Wanted {
        name: name(request.client_name.as_deref())?,
        uri: page(request.client_uri.as_deref(), &hosts),
        redirect_uris: redirects.iter().map(|uri| uri.text.to_owned()).collect(),
        auth_method,
        scopes: scopes(request.scope.as_deref())?,
        may_refresh: may_refresh(request)?,
        application_type,
        keys,
        metadata: metadata(request, &hosts)?,
    })
}

/// The keys that a client brings. Where they are fetched from is judged like the address of a document; what
/// is fetched goes through the guarded client.
fn keys(request: &RegistrationRequest) -> Result<ClientKeys, Error> {
    match (&request.jwks, &request.jwks_uri) {
        (None, None) => Ok(ClientKeys::None),
        (Some(_), Some(_)) => Err(bad("there may be jwks or jwks_uri, not both")),
        (Some(jwks), None) => match check_public_keys(jwks) {
            Ok(()) => Ok(ClientKeys::Inline(jwks.clone())),
            Err(_) => Err(bad("the jwks must be 1 to 5 public keys of kind EC, RSA or OKP")),
        },
        (None, Some(uri)) => match DocumentUrl::parse(uri, false) {
            Ok(_) => Ok(ClientKeys::At(uri.clone())),
            Err(_) => Err(bad("the jwks_uri must be https to a host on the network, without port and query")),
        },
    }
}

/// What is kept to be given back.
fn metadata(request: &RegistrationRequest, hosts: &[&str]) -> Result<ClientMetadata, Error> {
    let visible = |text: &str| text.len() <= MAX_TEXT && !text.chars().any(model::is_deceptive);
    if request.contacts.len() > MAX_CONTACTS || !request.contacts.iter().all(|contact| visible(contact)) {
        return Err(bad("there may be 5 contacts of 254 visible characters"));
    }
    let text = |sent: &Option<String>| sent.clone().filter(|text| visible(text));
    Ok(ClientMetadata {
        logo_uri: page(request.logo_uri.as_deref(), hosts),
        tos_uri: page(request.tos_uri.as_deref(), hosts),
        policy_uri: page(request.policy_uri.as_deref(), hosts),
        contacts: request.contacts.clone(),
        software_id: text(&request.software_id),
        software_version: text(&request.software_version),
    })
}

fn redirects<'a>(request: &'a RegistrationRequest, private: &[String]) -> Result<Vec<RedirectUri<'a>>, Error> {
    let bad = |why| Error::new(ErrorCode::InvalidRedirectUri, why);
    if request.redirect_uris.is_empty() || request.redirect_uris.len() > MAX_REDIRECTS {
        return Err(bad("there must be 1 to 10 redirect URIs"));
    }
    let all = request.redirect_uris.iter().map(|uri| RedirectUri::register(uri, private));
    all.collect::<Result<_, _>>().map_err(|error| {
        use protocol::oauth::InvalidRedirect as Invalid;
        bad(match error {
            Invalid::Characters => "a redirect URI has characters that are not allowed, or is too long",
            Invalid::Fragment => "a redirect URI must not have a fragment",
            Invalid::Authority => "a redirect URI must have a plain host and no user part",
            Invalid::DotSegment => "a redirect URI must not have dot segments",
            Invalid::Scheme => "a redirect URI must be https, http to loopback, or of an allowed scheme",
            Invalid::Host => "a redirect URI must have a full host name",
        })
    })
}

/// OpenID Connect Registration §2. What a client says is honoured; what it leaves out is read from its
/// redirect URIs.
fn application_type(
    request: &RegistrationRequest,
    redirects: &[RedirectUri<'_>],
    native: bool,
) -> Result<ApplicationType, Error> {
    let local = |uri: &RedirectUri<'_>| {
        uri.kind != RedirectKind::Https || matches!(uri.target, "localhost" | "127.0.0.1" | "[::1]")
    };
    match request.application_type.as_deref() {
        Some("web") if redirects.iter().any(local) => Err(Error::new(
            ErrorCode::InvalidRedirectUri,
            "a web application has https redirect URIs that are not on a loopback address",
        )),
        Some("web") => Ok(ApplicationType::Web),
        Some("native") => Ok(ApplicationType::Native),
        Some(_) => Err(bad("the application_type must be web or native")),
        // VS Code registers loopback and https together: the loopback ones are what needs the rule.
        None if native || redirects.iter().any(local) => Ok(ApplicationType::Native),
        None => Ok(ApplicationType::Web),
    }
}

/// What a client calls itself, in one form: what looks alike is alike (NFC).
fn name(sent: Option<&str>) -> Result<Option<String>, Error> {
    // Before it is made longer or shorter, so that nobody's megabyte is normalised.
    let long = |name: &str| name.chars().count() > MAX_NAME;
    let Some(sent) = sent.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
    let name: String = if long(sent) { sent.to_owned() } else { sent.nfc().collect() };
    if long(&name) || name.chars().any(model::is_deceptive) {
        return Err(bad("the client_name must be at most 128 visible characters"));
    }
    Ok(Some(name))
}

/// A page of the client's, if it is https on one of the hosts that answers go to: another one would lend it a
/// name.
fn page(sent: Option<&str>, hosts: &[&str]) -> Option<String> {
    let sent = sent.filter(|uri| uri.len() <= MAX_URI)?;
    let url = url::Url::parse(sent).ok().filter(|url| url.scheme() == "https" && url.username().is_empty())?;
    hosts.iter().any(|host| url.host_str() == Some(host)).then(|| url.into())
}

fn scopes(sent: Option<&str>) -> Result<ScopeSet, Error> {
    let Some(text) = sent else { return Ok(ScopeSet::supported()) };
    let asked: ScopeSet = text.parse().map_err(|_| bad("the scope is malformed"))?;
    let known = asked.intersection(&ScopeSet::supported());
    // A client that only names scopes of others does not know ours: it learns them from the answer.
    let useful = known.iter().any(|scope| scope.as_str() != model::Scope::OFFLINE);
    Ok(if useful { known } else { ScopeSet::supported() })
}

fn may_refresh(request: &RegistrationRequest) -> Result<bool, Error> {
    let says = |list: &Option<Vec<String>>, word: &str| list.as_ref().map(|list| list.iter().any(|item| item == word));
    if says(&request.grant_types, "authorization_code") == Some(false) {
        return Err(bad("the grant_types must have authorization_code"));
    }
    if says(&request.response_types, "code") == Some(false) {
        return Err(bad("the response_types must have code"));
    }
    Ok(says(&request.grant_types, "refresh_token").unwrap_or(false))
}

#[cfg(test)]
mod tests;
