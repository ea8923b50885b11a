use std::fmt;

use async_trait::async_trait;
use model::{ConnectionId, GrantId, Resource, ScopeSet, ServerId, TenantId, Timestamp, TokenId, UserId};

use super::{AuditEvent, Replacement, Rotated, SignInMethod};
use crate::Result;

/// SHA-256 of a token, a code or a client's secret: what is stored instead of it, and how it is found.
pub type TokenHash = [u8; 32];

/// Where a grant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// Consented; its code was not redeemed yet. Not shown to anybody.
    Pending,
    /// Tokens may be had for it.
    Active,
    /// Over since then.
    Revoked {
        /// When.
        at: Timestamp,
    },
}

/// What one user allowed one client on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub id: GrantId,
    /// Who allowed it.
    pub user: UserId,
    /// How they had signed in.
    pub method: SignInMethod,
    /// The tenant of the resource.
    pub tenant: TenantId,
    /// The server of the resource.
    pub server: ServerId,
    /// To whom.
    pub client_id: String,
    /// What the client called itself then, for pages.
    pub client_name: Option<String>,
    /// On what.
    pub resource: Resource,
    /// How far.
    pub scopes: ScopeSet,
    /// Where it is in its life.
    pub state: GrantState,
    /// Access tokens carry the version that they were minted from, and only those of the present one are good.
    pub version: u32,
    /// Since when.
    pub created_at: Timestamp,
    /// When tokens were last had for it.
    pub last_used_at: Option<Timestamp>,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// An authorization code, by its hash. The row stays as a tombstone after use, so that a replay is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// SHA-256 of the code.
    pub hash: TokenHash,
    /// Of which grant.
    pub grant: GrantId,
    /// Where it was sent.
    pub redirect_uri: String,
    /// Whether the authorization request had named the redirect URI.
    pub redirect_uri_sent: bool,
    /// The PKCE challenge (S256).
    pub challenge: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// How many redemptions failed their checks.
    pub failures: u32,
}

/// A refresh token, by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// Of which grant: the family.
    pub grant: GrantId,
    /// The token it replaced.
    pub parent: Option<TokenHash>,
    /// How many rotations lie behind it.
    pub generation: u32,
    /// What it can be used for; never more than the parent's.
    pub scopes: ScopeSet,
    /// Since when.
    pub issued_at: Timestamp,
    /// Until when it can be used, unless the grant ends earlier.
    pub expires_at: Timestamp,
    /// The access token that was issued together with it.
    pub token: Option<TokenId>,
    /// When that access token was first seen in front of a server.
    pub used_at: Option<Timestamp>,
    /// When it was replaced.
    pub rotated_at: Option<Timestamp>,
    /// When it was taken for lost, and its parent replaced once more.
    pub superseded_at: Option<Timestamp>,
}

/// A refresh token with what decides over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshFamily {
    /// The token.
    pub token: Refresh,
    /// Its grant.
    pub grant: Grant,
    /// How many tokens replaced it, without those that were superseded.
    pub children: u32,
}

/// Which grants a write is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantsOf {
    /// One.
    Grant(GrantId),
    /// All of a person, in every tenant.
    User(UserId),
    /// All of a person in one tenant.
    Member(TenantId, UserId),
    /// All of an application, by its `client_id`, in one tenant or in all.
    Client(Option<TenantId>, String),
    /// All in a tenant.
    Tenant(TenantId),
    /// All on a server.
    Server(TenantId, ServerId),
    /// All of whoever had signed in through a connection.
    Connection(ConnectionId),
}

/// A grant that was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub grant: GrantId,
}

/// A grant whose older access tokens are no good any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Since when.
    pub at: Timestamp,
    /// Which.
    pub grant: GrantId,
    /// Its present version.
    pub version: u32,
}

/// A single access token that was revoked before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedToken {
    /// Its `jti`.
    pub id: TokenId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// When it would have ended by itself.
    pub expires_at: Timestamp,
}

/// How a redemption ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// This caller got it.
    Yes,
    /// Another caller was first, or the code has expired, or the grant is over.
    No,
}

/// Grants, authorization codes and refresh tokens. What is single use and mints something durable is
/// consumed in the transaction that mints it.
#[async_trait]
pub trait Grants: Send + Sync + fmt::Debug {
    /// Adds a pending grant and its code. `Missing` unless the person, the server, the person's membership in
    /// its tenant and the connection that they signed in through are there: whoever removes one of these ends
    /// the grants that rest on it, this one included, whichever of the two comes first.
    async fn authorize(&self, grant: &Grant, code: &Code, audit: &AuditEvent) -> Result<()>;

    /// A code and its grant, used and expired ones too.
    async fn code(&self, hash: &TokenHash) -> Result<Option<(Code, Grant)>>;

    /// Marks a code as used, its grant as active and used at `now`, and adds the refresh token if there
    /// is one, if the code is unused, unexpired, has failed fewer than five times and its grant is not
    /// revoked. Of several callers exactly one gets `Yes`; for the others nothing is written.
    async fn redeem(
        &self,
        code: &TokenHash,
        refresh: Option<&Refresh>,
        now: Timestamp,
        audit: &AuditEvent,
    ) -> Result<Redeemed>;

    /// Counts a redemption that failed its checks.
    async fn count_failure(&self, code: &TokenHash) -> Result<()>;

    /// A refresh token and what decides over it, replaced and expired ones too.
    async fn refresh(&self, hash: &TokenHash) -> Result<Option<RefreshFamily>>;

    /// Replaces a refresh token by `child` (whose `parent` it is) at `now` as `rules` judge, and notes the
    /// grant's use; all in the transaction that looked. [`Reused`](Rotated::Reused) ends the grant. The event
    /// gets the action that fits the outcome; where nothing is written it is not stored.
    async fn rotate(&self, child: &Refresh, now: Timestamp, rules: &Replacement, audit: &AuditEvent)
    -> Result<Rotated>;

    /// Notes that access tokens were seen in front of a server. What is noted stays as it was; unknown ones
    /// are left out.
    async fn note_uses(&self, tokens: &[TokenId], at: Timestamp) -> Result<()>;

    /// A grant.
    async fn grant(&self, id: GrantId) -> Result<Option<Grant>>;

    /// The active, unexpired grants of a person, newest first, that are older than `before`.
    async fn of_user(&self, user: UserId, now: Timestamp, before: Option<GrantId>, limit: u32) -> Result<Vec<Grant>>;

    /// Ends a grant. `false` if it had ended or is not there. Appends `Grant` to the feed.
    async fn revoke(&self, id: GrantId, now: Timestamp, audit: &AuditEvent) -> Result<bool>;

    /// Ends all grants of something, pending ones included, and says how many. Each stands in the feed by
    /// itself. The event is stored if there was any.
    async fn end(&self, of: &GrantsOf, now: Timestamp, audit: &AuditEvent) -> Result<u64>;

    /// Raises the versions of all active grants of something, and says how many: their access tokens of before
    /// are no good any more, and their refresh tokens are. Appends `GrantVersion` to the feed for each. The
    /// event is stored if there was any.
    async fn raise(&self, of: &GrantsOf, now: Timestamp, audit: &AuditEvent) -> Result<u64>;

    /// The grants of these that were ever raised, as they are now; at most 1000.
    async fn versions(&self, ids: &[GrantId]) -> Result<Vec<Raised>>;

    /// The grants that were raised at or after `since`, in order of time and id, after `after`.
    async fn raised_since(&self, since: Timestamp, after: Option<&Raised>, limit: u32) -> Result<Vec<Raised>>;

    /// Revokes one access token. `false` if it was already. Appends `Token` to the feed.
    async fn revoke_token(&self, token: &RevokedToken, audit: &AuditEvent) -> Result<bool>;

    /// The single access tokens that are revoked and have not expired at `now`, in order of id, after `after`.
    async fn revoked_tokens(&self, now: Timestamp, after: Option<TokenId>, limit: u32) -> Result<Vec<RevokedToken>>;

    /// The grants that were revoked at or after `since`, in order of time and id, after `after`: what a
    /// snapshot holds, since tokens older than the longest lifetime have expired anyway. One that is revoked
    /// while somebody turns pages may be on none of them, and is in the feed.
    async fn revoked_since(&self, since: Timestamp, after: Option<&Revoked>, limit: u32) -> Result<Vec<Revoked>>;

    /// Removes codes and revoked access tokens that expired, pending grants that came to nothing, and refresh
    /// tokens and grants that ended, before `before`; and refresh tokens that nobody used for
    /// [`SIBLING_LIFE`](super::SIBLING_LIFE) while a sibling was in use. At most `limit` of each. Returns how many.
    async fn purge(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
