//! Relational records: a trait per kind, each implemented by every SQL backend and held to the same
//! conformance suite.
//!
//! Invariants:
//! - Writes that belong together are one method, and one transaction.
//! - Whatever changes what a request may do appends to the change feed in the same transaction.
//! - Every write that decides something carries its audit event and stores it in the same transaction.
//! - Whoever removes something ends the grants that rest on it: all of them by the transaction that removes it. Of more
//!   than [`AT_ONCE`](crate::AT_ONCE) the most end before, in transactions of that size, so that none misses its
//!   deadline; a removal that fails in between has ended grants, and done nothing else.
//! - A list that can grow comes in pages: at most `limit`, in the order of a key of which `after` or `before`
//!   is the last one seen. A page that is shorter than `limit` is the last. [`pages`](crate::pages) reads all.
//! - Lookups return `None` for what is not there; a name that is taken is [`StorageError::Taken`](crate::StorageError::Taken).

mod admissions;
mod audit;
mod clients;
mod connections;
mod grants;
mod replicas;
mod resource_credentials;
mod rotation;
mod servers;
mod signing;
mod tenants;
mod usage;
mod users;
mod words;

use std::sync::Arc;

pub use self::{
    admissions::{AccessRule, Admission, Admissions, Invitation, RuleKind},
    audit::{Actor, AuditEvent, AuditLog},
    clients::{
        ApplicationType, AuthMethod, Client, ClientKeys, ClientMetadata, ClientOrigin, ClientPolicies, ClientPolicy,
        ClientUse, Clients, PolicyMode, RegistrationCap,
    },
    connections::{Connection, ConnectionKind, ConnectionOwner, Connections, Endpoints},
    grants::{
        Code, Grant, GrantState, Grants, GrantsOf, Raised, Redeemed, Refresh, RefreshFamily, Revoked, RevokedToken,
        TokenHash,
    },
    replicas::{Replica, Replicas},
    resource_credentials::{RESOURCE_CREDENTIALS, ResourceCredential, ResourceCredentials, TokenPolicy},
    rotation::{Presented, Replacement, Rotated, SIBLING_LIFE, Verdict},
    servers::{LiveServer, Server, ServerRevision, ServerState, Servers},
    signing::{KeyChange, KeyState, SigningKey, SigningKeys},
    tenants::{Member, MemberChange, Membership, Tenant, TenantState, TenantView, Tenants},
    usage::{BATCH_MEMORY, USAGE_LIFE, Usage, UsageBatch, UsageCount, hour_of},
    users::{Identity, LocalAccount, SignInMethod, User, UserState, Users},
    words::UnknownWord,
};
pub use crate::feed::Changes;

/// All repositories of one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repos {
    /// People, their identities and local accounts.
    pub users: Arc<dyn Users>,
    /// Tenants and members.
    pub tenants: Arc<dyn Tenants>,
    /// Rules and invitations, by which people become members.
    pub admissions: Arc<dyn Admissions>,
    /// Servers and revisions.
    pub servers: Arc<dyn Servers>,
    /// Links to identity providers.
    pub connections: Arc<dyn Connections>,
    /// OAuth clients.
    pub clients: Arc<dyn Clients>,
    /// Grants, authorization codes and refresh tokens.
    pub grants: Arc<dyn Grants>,
    /// The keys that sign access tokens.
    pub signing: Arc<dyn SigningKeys>,
    /// What resource servers prove themselves with, and what tenants set about their tokens.
    pub resource_credentials: Arc<dyn ResourceCredentials>,
    /// The audit log.
    pub audit: Arc<dyn AuditLog>,
    /// How much servers are used.
    pub usage: Arc<dyn Usage>,
    /// The change feed.
    pub changes: Arc<dyn Changes>,
    /// The processes that serve.
    pub replicas: Arc<dyn Replicas>,
}
