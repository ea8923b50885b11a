use std::{fmt, sync::Arc};

use async_trait::async_trait;
use model::{Name, Role, TenantId, TenantSlug, Timestamp, UserId};

use super::{AuditEvent, TokenPolicy, servers::LiveServer};
use crate::Result;

/// Whether a tenant works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantState {
    /// It does.
    Active,
    /// An operator stopped it: nothing of it answers.
    Suspended,
}

/// An organisation or a person's own space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Which.
    pub id: TenantId,
    /// Its name in URLs.
    pub slug: TenantSlug,
    /// What pages call it.
    pub name: Name,
    /// Whether it works.
    pub state: TenantState,
    /// Since when.
    pub created_at: Timestamp,
}

/// A person in a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// In which.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
}

/// What became of a change to a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// It was done.
    Done,
    /// The person is no member.
    Absent,
    /// It would have left a tenant without an owner who may sign in; nothing was written.
    LastOwner,
}

/// A tenant that a person is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The tenant.
    pub tenant: Tenant,
    /// As what.
    pub role: Role,
}

/// Everything about one tenant that a request needs: what a snapshot holds.
#[derive(Clone, Debug)]
pub struct TenantView {
    /// The tenant.
    pub tenant: Tenant,
    /// Its slugs: the current one and its aliases.
    pub slugs: Vec<TenantSlug>,
    /// Its live servers.
    pub servers: Vec<Arc<LiveServer>>,
    /// Its members.
    pub members: Vec<(UserId, Role)>,
    /// What it sets about its tokens.
    pub tokens: TokenPolicy,
}

/// Tenants and their members.
#[async_trait]
pub trait Tenants: Send + Sync + fmt::Debug {
    /// A tenant.
    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>>;

    /// The tenant of a slug or of an alias.
    async fn by_slug(&self, slug: &TenantSlug) -> Result<Option<Tenant>>;

    /// Whether a slug is a tombstone: that of a tenant that was deleted, given to nobody again.
    async fn is_tombstone(&self, slug: &TenantSlug) -> Result<bool>;

    /// Tenants in order of id, after `after`.
    async fn list(&self, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>>;

    /// Adds a tenant and its first members. `Taken` if the slug is in use, an alias or a tombstone.
    async fn create(&self, tenant: &Tenant, members: &[Member], audit: &AuditEvent) -> Result<()>;

    /// Changes slug, name and state. The old slug stays an alias. `Taken` as for `create`.
    async fn update(&self, tenant: &Tenant, audit: &AuditEvent) -> Result<()>;

    /// Removes a tenant and all that it owns, and destroys its keys. Its slugs stay as tombstones. With the first of
    /// its transactions, which has the event, nothing of the tenant is found any more; whatever fails after that is
    /// finished by [`Maintenance`](crate::Maintenance), or by the same call again, which says `false`.
    async fn delete(&self, tenant: TenantId, audit: &AuditEvent) -> Result<bool>;

    /// The members of a tenant, in order of user id, after `after`.
    async fn members(&self, tenant: TenantId, after: Option<UserId>, limit: u32) -> Result<Vec<Member>>;

    /// As what a person is in a tenant; `None` if they are not.
    async fn role(&self, tenant: TenantId, user: UserId) -> Result<Option<Role>>;

    /// The tenants of a person, in order of slug, after `after`.
    async fn memberships(&self, user: UserId, after: Option<&TenantSlug>, limit: u32) -> Result<Vec<Membership>>;

    /// Gives a member another role; the membership no longer rests on a rule. Never takes the last owner's.
    async fn change_role(&self, member: &Member, audit: &AuditEvent) -> Result<MemberChange>;

    /// Removes a member, unless it is the last owner; their grants in the tenant end in the same transaction.
    async fn expel(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<MemberChange>;

    /// Adds a member or changes their role. The membership rests on no rule then.
    async fn put_member(&self, member: &Member, audit: &AuditEvent) -> Result<()>;

    /// Removes a member, and ends their grants in the tenant.
    async fn remove_member(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<bool>;

    /// What a snapshot holds of one tenant, all of it as it was at one moment; `None` if the tenant is gone or
    /// suspended. Not in pages: it has to fit into memory anyway, in each replica.
    async fn view(&self, tenant: TenantId) -> Result<Option<TenantView>>;
}
