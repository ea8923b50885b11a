use std::fmt;

use async_trait::async_trait;
use model::{ConnectionId, Name, Secret, Slug, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::AuditEvent;
use crate::Result;

/// Whose a connection is. An identity of a tenant's connection opens only that tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionOwner {
    /// The installation's.
    Platform,
    /// A tenant's.
    Tenant(TenantId),
}

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionKind {
    /// GitHub or GitHub Enterprise: OAuth with its quirks, no OpenID Connect.
    Github,
    /// Google: OpenID Connect with its quirks.
    Google,
    /// Microsoft Entra ID: OpenID Connect with its quirks.
    Entra,
    /// Any OpenID Connect issuer.
    Oidc,
    /// Any OAuth 2.0 server with an address that says who a token is about.
    Oauth,
}

/// Where the other end is, when not at its usual place. Each field stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// The OpenID Connect issuer, exactly as it names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The authorization endpoint (GitHub and OAuth; others come from discovery).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize: Option<String>,
    /// The token endpoint (GitHub and OAuth).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The base of the API (GitHub only), for example `https://api.github.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// What says who a token is about (OAuth only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<String>,
    /// JSON pointers (RFC 6901) into what it says: the stable name for the person (OAuth only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The person's name (OAuth only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address (OAuth only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was checked (OAuth only). Without it no address counts as checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<String>,
    /// What is asked for, in place of the usual; empty for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The directories whose people may sign in, by tenant id (Entra only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
    /// The claim with the person's groups; `groups` if it is none other (OpenID Connect only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
}

/// A link to an identity provider.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Which.
    pub id: ConnectionId,
    /// Whose.
    pub owner: ConnectionOwner,
    /// What `apply` files call it; unique for its owner.
    pub slug: Slug<2>,
    /// Its last path segment in `/oauth/callback/…`: the slug, for a tenant's connection behind the
    /// tenant's first slug and a dot. Unique, and never changes, because it is registered elsewhere.
    pub callback: String,
    /// What is at the other end.
    pub kind: ConnectionKind,
    /// What pages call it.
    pub name: Name,
    /// Our id there.
    pub client_id: String,
    /// Our secret there; empty if we have none. A sealed column: `None` if it does not open, which is no
    /// reason for other connections to fail. Never written as `None`.
    pub client_secret: Option<Secret>,
    /// Where it is.
    pub endpoints: Endpoints,
    /// Since when.
    pub created_at: Timestamp,
    /// Whether people may sign in through it. Sessions of one that is switched off are refused.
    pub enabled: bool,
    /// Whether a file declared it, and not somebody on the pages.
    pub declared: bool,
}

/// Links to identity providers.
#[async_trait]
pub trait Connections: Send + Sync + fmt::Debug {
    /// A connection.
    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>>;

    /// The connection of a callback segment.
    async fn by_callback(&self, callback: &str) -> Result<Option<Connection>>;

    /// The connections of an owner, in order of slug. Not in pages: each is declared by an operator and a
    /// button on a sign-in page, so an owner has a handful.
    async fn list(&self, owner: ConnectionOwner) -> Result<Vec<Connection>>;

    /// Adds a connection. `Taken` for its slug or callback.
    async fn create(&self, connection: &Connection, audit: &AuditEvent) -> Result<()>;

    /// Changes all but id, owner, slug and callback. The grants made through one that is switched off end in
    /// the same transaction.
    async fn update(&self, connection: &Connection, audit: &AuditEvent) -> Result<()>;

    /// Removes a connection with its identities and rules, and ends the grants that were made through it and
    /// the memberships that rested on its word; people stay.
    async fn delete(&self, id: ConnectionId, audit: &AuditEvent) -> Result<bool>;
}
