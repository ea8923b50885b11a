use std::{fmt, time::Duration};

use async_trait::async_trait;
use model::{ResourceCredentialId, ServerId, TenantId, Timestamp};

use super::{AuditEvent, TokenHash};
use crate::Result;

/// How many a server may have: enough to exchange one without a gap.
pub const RESOURCE_CREDENTIALS: u32 = 10;

/// What a resource server proves itself with when it asks about tokens (RFC 7662 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceCredential {
    /// Which; also the `client_id` that it is sent with.
    pub id: ResourceCredentialId,
    /// The tenant of the server.
    pub tenant: TenantId,
    /// The server whose tokens it may ask about.
    pub server: ServerId,
    /// What its owners call it.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: TokenHash,
    /// Since when.
    pub created_at: Timestamp,
}

/// What a tenant sets about its tokens. What is not set is as the installation has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenPolicy {
    /// How long access tokens live.
    pub access: Option<Duration>,
    /// How long a replaced refresh token gives siblings.
    pub refresh_grace: Option<Duration>,
}

/// What resource servers prove themselves with, and what tenants set about their tokens.
#[async_trait]
pub trait ResourceCredentials: Send + Sync + fmt::Debug {
    /// Adds one. `Taken` if the server has one of this name, or [`RESOURCE_CREDENTIALS`] of them.
    async fn create(&self, credential: &ResourceCredential, audit: &AuditEvent) -> Result<()>;

    /// One of them.
    async fn credential(&self, id: ResourceCredentialId) -> Result<Option<ResourceCredential>>;

    /// All of a server, in order of name. Not in pages: there are few.
    async fn of_server(&self, tenant: TenantId, server: ServerId) -> Result<Vec<ResourceCredential>>;

    /// Removes one of a server. `false` if it is not there.
    async fn remove(
        &self,
        tenant: TenantId,
        server: ServerId,
        id: ResourceCredentialId,
        audit: &AuditEvent,
    ) -> Result<bool>;

    /// What a tenant has set.
    async fn policy(&self, tenant: TenantId) -> Result<TokenPolicy>;

    /// Sets it. Appends `Tenant` to the feed.
    async fn set_policy(&self, tenant: TenantId, policy: &TokenPolicy, audit: &AuditEvent) -> Result<()>;
}
