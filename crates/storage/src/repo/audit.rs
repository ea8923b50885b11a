use std::fmt;

use async_trait::async_trait;
use model::{AuditId, Clock, Entropy, TenantId, Timestamp, UserId};

use crate::Result;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Portico itself: rotation, expiry.
    System,
    /// `portico apply`, run by whoever holds the machine.
    Apply,
    /// Somebody who has not signed in.
    Anonymous,
    /// A person.
    User(UserId),
    /// An OAuth client, by its `client_id`.
    Client(String),
}

/// As it stands in the log: `system`, `apply`, `anonymous`, `usr_…`, `client:…`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Apply => f.write_str("apply"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::User(id) => id.fmt(f),
            Self::Client(id) => write!(f, "client:{id}"),
        }
    }
}

/// One thing that was decided or changed. Never holds a token, a code or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id, ordered by time.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// In which tenant, if in one.
    pub tenant: Option<TenantId>,
    /// Who did it.
    pub actor: Actor,
    /// What, dotted and in the past tense: `server.created`, `grant.revoked`.
    pub action: String,
    /// To what: an id, or a name where there is no id.
    pub subject: String,
    /// Whatever else explains it.
    pub details: serde_json::Value,
}

impl AuditEvent {
    /// An event of now.
    #[expect(clippy::needless_pass_by_value, reason = "callers have ids, which are copied, and texts")]
    pub fn new(clock: &dyn Clock, entropy: &dyn Entropy, actor: Actor, action: &str, subject: impl ToString) -> Self {
        Self {
            id: AuditId::new(clock, entropy),
            at: clock.now(),
            tenant: None,
            actor,
            action: action.to_owned(),
            subject: subject.to_string(),
            details: serde_json::Value::Null,
        }
    }

    /// The event, in a tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// The event, with another action.
    #[must_use]
    pub fn called(mut self, action: &str) -> Self {
        action.clone_into(&mut self.action);
        self
    }

    /// The event, with details.
    #[must_use]
    pub fn with(mut self, details: serde_json::Value) -> Self {
        self.details = details;
        self
    }
}

/// The log of decisions, append only.
#[async_trait]
pub trait AuditLog: Send + Sync + fmt::Debug {
    /// Appends an event that belongs to no other write (a refusal, a failed sign-in).
    async fn append(&self, event: &AuditEvent) -> Result<()>;

    /// The newest events, newest first, that are older than `before`; of one tenant, or of the platform
    /// (`None`).
    async fn newest(&self, tenant: Option<TenantId>, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEvent>>;
}
