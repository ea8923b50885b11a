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
    /// Any OpenID Connect issuer.
    Oidc,
}

/// Where the other end is, when not at its usual place. Each field stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// The OpenID Connect issuer, exactly as it names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The authorization endpoint (GitHub only; others come from discovery).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize: Option<String>,
    /// The token endpoint (GitHub only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The base of the API (GitHub only), for example `https://api.github.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
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

    /// Changes all but id, owner, slug and callback.
    async fn update(&self, connection: &Connection, audit: &AuditEvent) -> Result<()>;

    /// Removes a connection and its identities, and ends the grants that were made through it; people stay.
    async fn delete(&self, id: ConnectionId, audit: &AuditEvent) -> Result<bool>;
}
