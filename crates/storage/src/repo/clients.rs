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
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last part of an authorization.
    pub last_used_at: Option<Timestamp>,
    /// From when it is as if it were not there; `None` for registered ones.
    pub expires_at: Option<Timestamp>,
}

/// OAuth clients.
#[async_trait]
pub trait Clients: Send + Sync + fmt::Debug {
    /// The client of a `client_id`, if it has not expired at `now`.
    async fn client(&self, client_id: &str, now: Timestamp) -> Result<Option<Client>>;

    /// Adds a client.
    async fn create(&self, client: &Client, audit: &AuditEvent) -> Result<()>;

    /// Notes that a client took part in an authorization, and how long it lives from now.
    async fn touch(&self, client_id: &str, now: Timestamp, expires_at: Option<Timestamp>) -> Result<()>;

    /// How many dynamic clients are alive at `now`: the base of the limit on registration.
    async fn count_dynamic(&self, now: Timestamp) -> Result<u64>;

    /// Removes clients that expired before `now`; at most `limit`. Returns how many.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;
}
