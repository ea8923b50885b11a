//! Values of the domain: ids, slugs, roles, scopes, principals, addresses of resources, and the two
//! sources of nondeterminism, time and randomness.
//!
//! Invariant: nothing here does I/O, and nothing here knows about HTTP, SQL or MCP messages.

mod clock;
mod entropy;
mod id;
mod principal;
mod resource;
mod role;
mod scope;
mod secret;
mod slug;
mod upstream;

pub use crate::{
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    entropy::{Entropy, OsEntropy, SeededEntropy, random_token},
    id::{
        AuditId, BatchId, ClientRowId, ConnectionId, GrantId, Id, InvalidId, InvitationId, Kind, ReplicaId, RequestId,
        ResourceCredentialId, RevisionId, RuleId, ServerId, SessionId, TenantId, TokenId, UserId, kind,
    },
    principal::Principal,
    resource::{InvalidResource, Resource, ResourcePath},
    role::{InvalidRole, Role},
    scope::{InvalidScope, Scope, ScopeSet},
    secret::Secret,
    slug::{InvalidName, InvalidSlug, Name, RESERVED_SLUGS, ServerSlug, Slug, TenantSlug, is_deceptive},
    upstream::UpstreamSource,
};
