use std::fmt;

use async_trait::async_trait;
use model::{ConnectionId, Name, Secret, Slug, Timestamp, UserId};

use super::AuditEvent;
use crate::Result;

/// Whether a person may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// May.
    Active,
    /// May not; sessions, grants and keys are refused.
    Blocked,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The name that `apply` files call the person by; people who only signed in have none.
    pub handle: Option<Slug<2>>,
    /// What pages call the person.
    pub name: Name,
    /// For display; never used to find or link a person.
    pub email: Option<String>,
    /// Runs the installation; sees no tenant's data.
    pub operator: bool,
    /// Whether the person may sign in.
    pub state: UserState,
    /// Since when.
    pub created_at: Timestamp,
    /// Sessions of another epoch are over. Only the store counts it up.
    pub session_epoch: u32,
}

/// A person's account with a password on this installation.
#[derive(Clone, Debug)]
pub struct LocalAccount {
    /// Whose.
    pub user: UserId,
    /// What the person types, lower case; unique among local accounts.
    pub email: String,
    /// The password's hash in PHC string format (argon2id). A sealed column.
    pub password: Secret,
}

/// A person as an identity provider knows them. (connection, subject) is unique and never changes hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Through which connection.
    pub connection: ConnectionId,
    /// The provider's stable name for the person; never an e-mail address.
    pub subject: String,
    /// The person.
    pub user: UserId,
    /// The address the provider gave, for display.
    pub email: Option<String>,
    /// Whether the provider says that it checked the address.
    pub email_verified: bool,
}

/// How a session was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignInMethod {
    /// With a password of this installation.
    Local,
    /// Through a connection.
    Connection(ConnectionId),
}

/// People.
#[async_trait]
pub trait Users: Send + Sync + fmt::Debug {
    /// A person.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The person that `apply` files call by this name.
    async fn by_handle(&self, handle: &Slug<2>) -> Result<Option<User>>;

    /// Whether there is anybody at all.
    async fn any(&self) -> Result<bool>;

    /// People in order of id, after `after`.
    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>>;

    /// The account with this address (lower case).
    async fn local_account(&self, email: &str) -> Result<Option<LocalAccount>>;

    /// The account of a person.
    async fn local_account_of(&self, user: UserId) -> Result<Option<LocalAccount>>;

    /// The identity with this subject.
    async fn identity(&self, connection: ConnectionId, subject: &str) -> Result<Option<Identity>>;

    /// The identities of a person. Not in pages: a person has one or two at each of a handful of connections.
    async fn identities(&self, user: UserId) -> Result<Vec<Identity>>;

    /// Adds a person with whatever they can sign in with. `Taken` for the handle, the address or an
    /// identity; then nothing was written.
    async fn create(
        &self,
        user: &User,
        account: Option<&LocalAccount>,
        identities: &[Identity],
        audit: &AuditEvent,
    ) -> Result<()>;

    /// Adds the first person, as operator, and closes set-up for good. Of several callers exactly one
    /// gets `true`; later ones get `false`, whoever there is by then.
    async fn complete_setup(&self, user: &User, account: &LocalAccount, audit: &AuditEvent) -> Result<bool>;

    /// Whether set-up was completed, or made unnecessary because there are people.
    async fn setup_closed(&self) -> Result<bool>;

    /// Changes name, e-mail, operator and state. The id, handle and age stay. Appends `User` to the feed.
    /// Who becomes blocked loses all sessions and grants in the same transaction, for good.
    async fn update(&self, user: &User, audit: &AuditEvent) -> Result<()>;

    /// Sets address and password of a person's account, making it if there is none.
    async fn set_local_account(&self, account: &LocalAccount, audit: &AuditEvent) -> Result<()>;

    /// Links an identity to its person.
    async fn add_identity(&self, identity: &Identity, audit: &AuditEvent) -> Result<()>;

    /// Keeps what the provider says now of the address of an identity that is there.
    async fn refresh_identity(&self, identity: &Identity) -> Result<()>;

    /// Ends all browser sessions that a person has, by counting up their epoch. `false` if there is no such
    /// person.
    async fn end_sessions(&self, user: UserId, audit: &AuditEvent) -> Result<bool>;

    /// Removes a person with accounts, identities and memberships, and revokes their grants. Appends
    /// `User` and, for each tenant they were in, `Tenant` to the feed.
    async fn delete(&self, user: UserId, audit: &AuditEvent) -> Result<bool>;
}
