use std::fmt;

use async_trait::async_trait;
use model::{ConnectionId, InvitationId, Role, RuleId, TenantId, Timestamp, UserId};

use super::{AuditEvent, Member, TokenHash};
use crate::Result;

/// What a rule looks at in what a connection says of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// The domain of an e-mail address that the provider says it verified.
    Domain,
    /// An organisation of GitHub, by login or by `id:` and number.
    Organisation,
    /// A team of GitHub, as `organisation/team`.
    Team,
    /// A value of the groups claim of OpenID Connect.
    Group,
}

/// Who becomes a member of a tenant by signing in through a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Which.
    pub id: RuleId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// Whose word counts.
    pub connection: ConnectionId,
    /// What is looked at.
    pub kind: RuleKind,
    /// What has to be found there. (tenant, connection, kind, value) is unique.
    pub value: String,
    /// As what; never [`Role::Owner`].
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Whether a file declared it, and not somebody on the pages.
    pub declared: bool,
}

/// A membership that rests on a rule and not on anybody's decision about the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The membership.
    pub member: Member,
    /// The rule.
    pub rule: RuleId,
}

/// A link by which one person becomes a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Which.
    pub id: InvitationId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// SHA-256 of the link's token.
    pub hash: TokenHash,
    /// As what.
    pub role: Role,
    /// The one address, lower case, whose holder may accept; anybody with the link, if there is none.
    pub email: Option<String>,
    /// Who invited.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// How people come into a tenant without an operator: rules and invitations.
#[async_trait]
pub trait Admissions: Send + Sync + fmt::Debug {
    /// The rules of a tenant, in order of id, after `after`.
    async fn rules(&self, tenant: TenantId, after: Option<RuleId>, limit: u32) -> Result<Vec<AccessRule>>;

    /// The rules of all tenants that a connection's word counts for, in order of id, after `after`.
    async fn rules_of(&self, connection: ConnectionId, after: Option<RuleId>, limit: u32) -> Result<Vec<AccessRule>>;

    /// Adds a rule. `Taken` if the tenant has the same one.
    async fn create_rule(&self, rule: &AccessRule, audit: &AuditEvent) -> Result<()>;

    /// Changes what a rule makes of people; of those who came by it, too. `false` if there is no such rule.
    async fn set_rule_role(&self, tenant: TenantId, id: RuleId, role: Role, audit: &AuditEvent) -> Result<bool>;

    /// Removes a rule, the memberships that rest on it and their grants. `false` if there is no such rule.
    async fn delete_rule(&self, tenant: TenantId, id: RuleId, audit: &AuditEvent) -> Result<bool>;

    /// The memberships of a person that rest on rules about a connection. Not in pages: one for each tenant
    /// that a person is in.
    async fn admissions(&self, user: UserId, connection: ConnectionId) -> Result<Vec<Admission>>;

    /// The rule that a membership rests on; `None` if somebody gave it, or if there is none.
    async fn rule_of(&self, tenant: TenantId, user: UserId) -> Result<Option<RuleId>>;

    /// Makes somebody a member by a rule, or changes a membership that rests on one. A membership that
    /// somebody gave stays as it is: then `false`.
    async fn admit(&self, admission: &Admission, audit: &AuditEvent) -> Result<bool>;

    /// Ends a membership that rests on a rule, and its grants. `false` if there is none.
    async fn dismiss(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<bool>;

    /// Adds an invitation.
    async fn invite(&self, invitation: &Invitation, audit: &AuditEvent) -> Result<()>;

    /// The invitation of a link, if it can still be accepted.
    async fn invitation(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Invitation>>;

    /// The invitations of a tenant that can still be accepted, in order of id, after `after`.
    async fn invitations(
        &self,
        tenant: TenantId,
        now: Timestamp,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Invitation>>;

    /// Ends an invitation by making `user` a member with its role. Of several callers one gets `true`.
    /// `Taken` for somebody who is a member already; the invitation then stays.
    async fn accept(&self, hash: &TokenHash, user: UserId, now: Timestamp, audit: &AuditEvent) -> Result<bool>;

    /// Takes an invitation back. `false` if there is none.
    async fn withdraw(&self, tenant: TenantId, id: InvitationId, audit: &AuditEvent) -> Result<bool>;

    /// Removes invitations that had expired at `now`; at most `limit`. Returns how many went.
    async fn purge_invitations(&self, now: Timestamp, limit: u32) -> Result<u64>;
}
