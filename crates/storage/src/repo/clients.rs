use std::fmt;

use async_trait::async_trait;
use model::{ClientRowId, ScopeSet, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AuditEvent, TokenHash};
use crate::Result;

/// How a client came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOrigin {
    /// An operator or a tenant's admin entered it.
    Registered,
    /// It registered itself (RFC 7591): always shown as unverified.
    Dynamic,
    /// Its `client_id` is the address of its metadata document. No row is of this kind.
    Document,
}

/// How a client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: a public client.
    None,
    /// A secret in the Authorization header (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// A secret in the form.
    ClientSecretPost,
    /// A short-lived token that it signs with a key of its own (RFC 7523 §2.2).
    PrivateKeyJwt,
}

/// OpenID Connect Registration §2 `application_type`; decides which redirect URIs a client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationType {
    /// On a web server: https redirects.
    Web,
    /// On the person's device: loopback, claimed https or private scheme.
    Native,
}

/// Where the public keys of a client are (RFC 7591 §2 `jwks`, `jwks_uri`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientKeys {
    /// It has none.
    #[default]
    None,
    /// Here: a JWK set (RFC 7517 §5) that was checked to hold public keys only.
    Inline(serde_json::Value),
    /// At this https URL, to be fetched through the guarded client only.
    At(String),
}

/// What a client says about itself that decides nothing (RFC 7591 §2). Kept to be shown, and given back to
/// whoever manages the registration (RFC 7592 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    /// Its picture. Never loaded from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// What it does with data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// What software it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Of which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

/// An OAuth client: an AI application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The row.
    pub id: ClientRowId,
    /// The OAuth `client_id`; never starts with `https://`, which is CIMD's.
    pub client_id: String,
    /// How it came to be known.
    pub origin: ClientOrigin,
    /// The tenant that registered it; `None` for the platform's and for dynamic ones.
    pub tenant: Option<TenantId>,
    /// What it calls itself. Not to be believed.
    pub name: Option<String>,
    /// Its page, as it says.
    pub uri: Option<String>,
    /// Where answers may go; never empty.
    pub redirect_uris: Vec<String>,
    /// How it proves itself.
    pub auth_method: AuthMethod,
    /// SHA-256 of its secret (256 random bits, so a fast hash is enough); `None` for public clients.
    pub secret_hash: Option<TokenHash>,
    /// The most it may ask for.
    pub scopes: ScopeSet,
    /// Whether it may have refresh tokens.
    pub may_refresh: bool,
    /// Where it runs.
    pub application_type: ApplicationType,
    /// The keys that it signs with.
    pub keys: ClientKeys,
    /// What else it says about itself.
    pub metadata: ClientMetadata,
    /// SHA-256 of the token that manages its registration (RFC 7592); `None` where there is none.
    pub registration_hash: Option<TokenHash>,
    /// Since when nobody may use it; by whoever registered it.
    pub blocked_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last part of an authorization.
    pub last_used_at: Option<Timestamp>,
    /// From when it is as if it were not there; `None` for registered ones.
    pub expires_at: Option<Timestamp>,
}

/// How a tenant treats clients that nobody entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyMode {
    /// None may ask for its resources.
    Off,
    /// Those on the list.
    Allowlist,
    /// All.
    Open,
}

/// A tenant's policy for one way of becoming a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPolicy {
    /// Who may ask.
    pub mode: PolicyMode,
    /// The list: hosts, `localhost` for loopback, or schemes such as `cursor:`. Kept while it does not count.
    pub allow: Vec<String>,
}

impl ClientPolicy {
    /// Everybody.
    pub const OPEN: Self = Self { mode: PolicyMode::Open, allow: Vec::new() };
}

/// A tenant's policies for clients that nobody entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPolicies {
    /// Those that registered themselves, by where their redirect URI leads.
    pub dynamic: ClientPolicy,
    /// Those that are metadata documents, by the host of the document.
    pub documents: ClientPolicy,
}

impl Default for ClientPolicies {
    fn default() -> Self {
        Self { dynamic: ClientPolicy::OPEN, documents: ClientPolicy::OPEN }
    }
}

/// A client as a tenant sees it: by the grants that its people have given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientUse {
    /// Which: also the URL of a metadata document.
    pub client_id: String,
    /// What it called itself when it was last granted something.
    pub name: Option<String>,
    /// How many grants it has.
    pub grants: u64,
    /// When it last used one.
    pub last_used_at: Option<Timestamp>,
    /// Since when the tenant blocks it.
    pub blocked_at: Option<Timestamp>,
}

/// How many clients may register themselves.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationCap {
    /// How many may be alive at a time.
    pub alive: u64,
    /// When they are that many, those make room that were made before this moment and never used.
    pub evictable_before: Timestamp,
}

/// OAuth clients.
#[async_trait]
pub trait Clients: Send + Sync + fmt::Debug {
    /// The client of a `client_id`, if it has not expired at `now`; a blocked one too.
    async fn client(&self, client_id: &str, now: Timestamp) -> Result<Option<Client>>;

    /// Adds a client.
    async fn create(&self, client: &Client, audit: &AuditEvent) -> Result<()>;

    /// Adds a dynamic client if fewer than the cap are alive when it is made, or the oldest evictable one can make
    /// room. `false`: there is no room. However many callers there are, never more than the cap are alive.
    async fn register(&self, client: &Client, cap: RegistrationCap, audit: &AuditEvent) -> Result<bool>;

    /// Writes what a client says about itself, how it proves itself, and the hash of its registration token, if
    /// that hash is still `expected`. Of several callers with the same `expected` token exactly one gets `true`.
    async fn replace(&self, client: &Client, expected: Option<&TokenHash>, audit: &AuditEvent) -> Result<bool>;

    /// Removes a client and ends its grants. `false` if it is not there.
    async fn delete(&self, client_id: &str, audit: &AuditEvent) -> Result<bool>;

    /// Blocks a client from `since` on, which ends its grants, or lets it be used again. `false` if it is not there.
    async fn set_blocked(&self, client_id: &str, since: Option<Timestamp>, audit: &AuditEvent) -> Result<bool>;

    /// Notes that a client took part in an authorization, and how long it lives from now.
    async fn touch(&self, client_id: &str, now: Timestamp, expires_at: Option<Timestamp>) -> Result<()>;

    /// How many dynamic clients are alive at `now`.
    async fn count_dynamic(&self, now: Timestamp) -> Result<u64>;

    /// The clients that a tenant registered, in order of `client_id`, after `after`.
    async fn of_tenant(&self, tenant: TenantId, after: Option<&str>, limit: u32) -> Result<Vec<Client>>;

    /// The clients that have active grants in a tenant at `now` or are blocked there, in order of `client_id`, after
    /// `after`.
    async fn used_in(
        &self,
        tenant: TenantId,
        now: Timestamp,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ClientUse>>;

    /// Blocks a client of any kind in one tenant, and ends its grants there. `false` if it was blocked already.
    async fn block_in(&self, tenant: TenantId, client_id: &str, audit: &AuditEvent) -> Result<bool>;

    /// Lets a client be used in a tenant again. `false` if it was not blocked.
    async fn unblock_in(&self, tenant: TenantId, client_id: &str, audit: &AuditEvent) -> Result<bool>;

    /// Whether a tenant blocks a client.
    async fn is_blocked_in(&self, tenant: TenantId, client_id: &str) -> Result<bool>;

    /// A tenant's policies; the defaults if it never set any.
    async fn policies(&self, tenant: TenantId) -> Result<ClientPolicies>;

    /// Sets a tenant's policies.
    async fn set_policies(&self, tenant: TenantId, policies: &ClientPolicies, audit: &AuditEvent) -> Result<()>;

    /// Removes clients that expired before `now`; at most `limit`. Returns how many.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;
}
