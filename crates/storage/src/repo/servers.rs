use std::fmt;

use async_trait::async_trait;
use model::{Name, RevisionId, ServerId, ServerSlug, TenantId, Timestamp, UpstreamSource, UserId};

use super::AuditEvent;
use crate::Result;

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Registered, not reviewed yet: it has no working URL.
    Draft,
    /// Its live revision answers.
    Live,
    /// Switched off.
    Disabled,
}

/// A registered MCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which.
    pub id: ServerId,
    /// Whose.
    pub tenant: TenantId,
    /// Its name in URLs, unique in the tenant.
    pub slug: ServerSlug,
    /// What pages call it.
    pub name: Name,
    /// Where it is in its life.
    pub state: ServerState,
    /// The revision that answers, once one does.
    pub live: Option<RevisionId>,
    /// Since when.
    pub created_at: Timestamp,
}

/// An immutable version of a server's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerRevision {
    /// Which.
    pub id: RevisionId,
    /// Whose.
    pub tenant: TenantId,
    /// Of which server.
    pub server: ServerId,
    /// Where answers come from.
    pub source: UpstreamSource,
    /// What the server offered when it was looked at, as `upstream::Offer` writes it; `None` for
    /// declared servers, which are live without being contacted.
    pub offer: Option<serde_json::Value>,
    /// Who made it; `None` for `apply`.
    pub created_by: Option<UserId>,
    /// Since when.
    pub created_at: Timestamp,
}

/// A live server as a snapshot holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveServer {
    /// Which.
    pub id: ServerId,
    /// Whose.
    pub tenant: TenantId,
    /// Its slugs: the current one first, then its aliases.
    pub slugs: Vec<ServerSlug>,
    /// What pages call it.
    pub name: Name,
    /// The live revision.
    pub revision: RevisionId,
    /// Where answers come from.
    pub source: UpstreamSource,
}

/// Servers and their revisions.
#[async_trait]
pub trait Servers: Send + Sync + fmt::Debug {
    /// A server of a tenant.
    async fn server(&self, tenant: TenantId, id: ServerId) -> Result<Option<Server>>;

    /// The server of a slug or of an alias.
    async fn by_slug(&self, tenant: TenantId, slug: &ServerSlug) -> Result<Option<Server>>;

    /// Whether a slug is a tombstone: that of a server of the tenant that was deleted, given to none again.
    async fn is_tombstone(&self, tenant: TenantId, slug: &ServerSlug) -> Result<bool>;

    /// The servers of a tenant, in order of slug, after `after`.
    async fn list(&self, tenant: TenantId, after: Option<&ServerSlug>, limit: u32) -> Result<Vec<Server>>;

    /// A revision of a server.
    async fn revision(&self, tenant: TenantId, id: RevisionId) -> Result<Option<ServerRevision>>;

    /// The revisions of a server, newest first, that are older than `before`.
    async fn revisions(
        &self,
        tenant: TenantId,
        server: ServerId,
        before: Option<RevisionId>,
        limit: u32,
    ) -> Result<Vec<ServerRevision>>;

    /// Whether a person made any revision of a server, rather than `apply` all of them.
    async fn made_by_hand(&self, tenant: TenantId, server: ServerId) -> Result<bool>;

    /// Adds a server with its first revision. `Taken` if the slug is in use, an alias or a tombstone.
    async fn create(&self, server: &Server, revision: &ServerRevision, audit: &AuditEvent) -> Result<()>;

    /// Adds a revision; what is live does not change.
    async fn add_revision(&self, revision: &ServerRevision, audit: &AuditEvent) -> Result<()>;

    /// Changes slug, name, state and live revision. The old slug stays an alias. `Taken` as for `create`.
    async fn update(&self, server: &Server, audit: &AuditEvent) -> Result<()>;

    /// Removes a server, its revisions and its grants. Its slugs stay as tombstones, unless it never went live.
    async fn delete(&self, tenant: TenantId, id: ServerId, audit: &AuditEvent) -> Result<bool>;
}
