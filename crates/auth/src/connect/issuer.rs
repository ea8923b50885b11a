//! OpenID Connect issuers: their metadata and keys, fetched and kept for a while.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_kit::outbound::Outbound;
use jsonwebtoken::jwk::Jwk;
use model::{Clock, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{error::ConnectError, exchange::get_json, provider::acceptable};

/// How long metadata and keys are believed.
const FRESH: Duration = Duration::from_hours(1);
/// How often keys are fetched again because a token names one that is not there.
const KEYS_AGAIN: Duration = Duration::from_secs(30);
/// How many issuers are kept; tenants bring their own.
const MOST: usize = 256;
/// How many keys of an issuer are looked at.
const MOST_KEYS: usize = 64;
const METADATA: &str = "issuer's metadata";
const KEYS: &str = "issuer's keys";

/// What an issuer says about itself (OpenID Connect Discovery §3), as far as we use it.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorize: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    /// How clients may prove themselves at the token endpoint; the default is `client_secret_basic`.
    pub(super) auth_methods: Option<Vec<String>>,
    /// What identity tokens are signed with.
    pub(super) algorithms: Option<Vec<String>>,
    /// Whether it names itself in authorization responses (RFC 9207 §3).
    pub(super) names_itself: bool,
    /// How clients may prove that they are who asked (RFC 8414 §2).
    challenge_methods: Option<Vec<String>>,
    jwks: Url,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// An issuer whose metadata are known.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(super) metadata: Metadata,
    fetched_at: Timestamp,
    keys: Mutex<Option<(Timestamp, Arc<[Jwk]>)>>,
    clock: Arc<dyn Clock>,
}

type Known = (Box<str>, Option<Box<str>>);

/// The issuers that are known.
pub(crate) struct Issuers {
    clock: Arc<dyn Clock>,
    /// By name, and by what stands in its place in the metadata.
    known: Mutex<HashMap<Known, Arc<Issuer>>>,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuers")
    }
}

impl Issuers {
    /// None yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// Forgets all of them: somebody looks whether things are right now.
    pub(super) fn forget(&self) {
        self.known.lock().expect("no holder panics").clear();
    }

    /// An issuer, by the exact name that it has for itself, or by the one that stands in its place in the
    /// metadata of an issuer of many directories.
    pub(super) async fn get(
        &self,
        outbound: &Outbound,
        issuer: &str,
        template: Option<&str>,
    ) -> Result<Arc<Issuer>, ConnectError> {
        let (now, key): (_, Known) = (self.clock.now(), (issuer.into(), template.map(Into::into)));
        if let Some(known) = self.known.lock().expect("no holder panics").get(&key)
            && now.since(known.fetched_at) < FRESH
        {
            return Ok(Arc::clone(known));
        }
        let metadata = discover(outbound, issuer, template).await?;
        let (keys, clock) = (Mutex::default(), Arc::clone(&self.clock));
        let found = Arc::new(Issuer { metadata, fetched_at: now, keys, clock });
        let mut known = self.known.lock().expect("no holder panics");
        if known.len() >= MOST {
            known.retain(|_, issuer| now.since(issuer.fetched_at) < FRESH);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, Arc::clone(&found));
        Ok(found)
    }
}

/// OpenID Connect Discovery §4. The document must name the issuer byte for byte (§4.3).
async fn discover(outbound: &Outbound, issuer: &str, template: Option<&str>) -> Result<Metadata, ConnectError> {
    acceptable(issuer).ok_or(ConnectError::Misconfigured("its issuer is neither https nor on this machine"))?;
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document: Document = get_json(outbound, &url, None, METADATA).await?;
    if document.issuer != template.unwrap_or(issuer) {
        return Err(ConnectError::Malformed(METADATA, "it is another issuer's"));
    }
    let endpoint = |text: &str| {
        acceptable(text).ok_or(ConnectError::Malformed(METADATA, "an endpoint is neither https nor on this machine"))
    };
    Ok(Metadata {
        authorize: endpoint(&document.authorization_endpoint)?,
        token: endpoint(&document.token_endpoint)?,
        userinfo: document.userinfo_endpoint.as_deref().map(endpoint).transpose()?,
        jwks: endpoint(&document.jwks_uri)?,
        auth_methods: document.token_endpoint_auth_methods_supported,
        algorithms: document.id_token_signing_alg_values_supported,
        challenge_methods: document.code_challenge_methods_supported,
        names_itself: document.authorization_response_iss_parameter_supported,
        issuer: document.issuer,
    })
}

impl Issuer {
    /// Whether it says that it checks PKCE with S256; `None` if it says nothing about PKCE.
    pub(super) fn checks_pkce(&self) -> Option<bool> {
        self.metadata.challenge_methods.as_ref().map(|all| all.iter().any(|method| method == "S256"))
    }

    /// The issuer's keys. `again` fetches them anew, unless that was just done.
    pub(super) async fn keys(&self, outbound: &Outbound, again: bool) -> Result<Arc<[Jwk]>, ConnectError> {
        let now = self.clock.now();
        let patience = if again { KEYS_AGAIN } else { FRESH };
        if let Some((at, keys)) = &*self.keys.lock().expect("no holder panics")
            && now.since(*at) < patience
        {
            return Ok(Arc::clone(keys));
        }
        let set: KeySet = get_json(outbound, self.metadata.jwks.as_str(), None, KEYS).await?;
        // A key of a kind that we do not know is no reason to refuse the others.
        let keys = set.keys.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        let keys: Arc<[Jwk]> = keys.collect();
        *self.keys.lock().expect("no holder panics") = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }
}
