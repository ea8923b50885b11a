use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use http_kit::{Budget, Csrf, Origins, WhenAway, outbound::Outbound};
use model::{Clock, Entropy, Id};
use registry::{Directory, Registry};
use storage::{
    Follow, Follower, KeyValue, Sealer, StorageError,
    repo::{Actor, AuditEvent, Repos},
};

use crate::{AuthConfig, Guard, connect::Issuers, document::Documents, follow::Snapshot, signin::Attempts, uses::Uses};

/// What [`Auth`] is made of.
#[derive(Clone, Debug)]
pub struct AuthParts {
    /// The records.
    pub repos: Repos,
    /// Sessions, pending transactions.
    pub kv: Arc<dyn KeyValue>,
    /// Where the keys of CSRF tokens come from.
    pub sealer: Arc<Sealer>,
    /// The rules about tenants, people and servers.
    pub registry: Registry,
    /// The same in memory, for what happens on every request.
    pub directory: Arc<Directory>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Codes, tokens, ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where we are. The issuer is `origins.auth`.
    pub origins: Origins,
    /// How identity providers are reached.
    pub outbound: Outbound,
    /// What may be set.
    pub config: AuthConfig,
}

/// Sign-in and the authorization server. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Shared>);

/// What the modules of this crate share.
pub struct Shared {
    pub(crate) repos: Repos,
    pub(crate) kv: Arc<dyn KeyValue>,
    pub(crate) registry: Registry,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) outbound: Outbound,
    pub(crate) config: AuthConfig,
    /// Signing keys and revocations, in memory.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Tokens that were seen in front of servers.
    pub(crate) uses: Arc<Uses>,
    /// CSRF tokens of all pages of this crate and of the console.
    pub(crate) csrf: Csrf,
    pub(crate) registrations_by_address: Budget,
    pub(crate) registrations: Budget,
    pub(crate) token_requests: Budget,
    pub(crate) authorizations: Budget,
    /// Sign-ins with a password, counted.
    pub(crate) attempts: Attempts,
    /// Metadata documents of clients.
    pub(crate) documents: Documents,
    /// Metadata and keys of identity providers.
    pub(crate) issuers: Issuers,
    feed: OnceLock<Arc<Follower>>,
}

/// The authorization server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The store failed.
    #[error("the authorization server cannot read what it needs")]
    Storage(#[from] StorageError),
    /// A signing key cannot be made or read.
    #[error("a signing key is not usable: {0}")]
    Key(&'static str),
}

impl Auth {
    /// Makes the first signing key if there is none. Serve only after [`Auth::follower`] has been loaded
    /// by a [`Follower`] and that was given to [`Auth::bind_feed`].
    pub async fn new(parts: AuthParts) -> Result<Self, AuthError> {
        let AuthParts { repos, kv, sealer, registry, directory, clock, entropy, origins, outbound, config } = parts;
        crate::keys::install_provider();
        let snapshot = Snapshot::new(repos.clone(), Arc::clone(&clock));
        // Each of these is bounded by something else as well, and a cache that is away is no reason to stop.
        let budget = |name, limit| Budget::new(name, limit, WhenAway::CountAlone, &kv, &clock);
        let auth = Self(Arc::new(Shared {
            csrf: Csrf::new(&sealer),
            registrations_by_address: budget("registrations of an address", config.registration.per_address),
            registrations: budget("registrations", config.registration.global),
            token_requests: budget("token requests", config.token_requests),
            authorizations: budget("authorizations", config.authorizations),
            attempts: Attempts::new(&kv, &clock),
            documents: Documents::new(&kv, &clock),
            issuers: Issuers::new(Arc::clone(&clock)),
            feed: OnceLock::new(),
            origins: Arc::new(origins),
            repos,
            kv,
            registry,
            directory,
            clock,
            entropy,
            outbound,
            config,
            snapshot,
            uses: Arc::default(),
        }));
        auth.rotation(&Actor::System).ensure_first().await?;
        Ok(auth)
    }

    /// What keeps signing keys and revocations current; to be given to [`Follower::start`], after the directory,
    /// because it wakes those who ask both.
    pub fn follower(&self) -> Arc<dyn Follow> {
        Arc::clone(&self.snapshot) as Arc<dyn Follow>
    }

    /// Says where the feed is, so that what this process changes is in its own snapshots before it
    /// answers. Later calls do nothing.
    pub fn bind_feed(&self, feed: Arc<Follower>) {
        let _ = self.feed.set(feed);
    }

    /// The guard in front of MCP endpoints.
    pub fn guard(&self) -> Guard {
        Guard::new(
            Arc::clone(&self.snapshot),
            Arc::clone(&self.uses),
            Arc::clone(&self.directory),
            Arc::clone(&self.clock),
            self.config.issuers,
            Arc::clone(&self.origins),
        )
    }

    /// CSRF tokens, for the console's forms too.
    pub fn csrf(&self) -> &Csrf {
        &self.csrf
    }

    /// A fresh id.
    pub(crate) fn id<K>(&self) -> Id<K> {
        Id::new(&*self.clock, &*self.entropy)
    }

    /// An audit event of now.
    pub(crate) fn audit(&self, actor: Actor, action: &str, subject: impl ToString) -> AuditEvent {
        AuditEvent::new(&*self.clock, &*self.entropy, actor, action, subject)
    }

    /// Takes what was just written into the snapshots of this process. The feed does it anyway within
    /// half a second, so a failure is only logged.
    pub async fn sync(&self) {
        if let Some(feed) = self.feed.get()
            && let Err(error) = feed.sync().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the change feed cannot be read");
        }
    }
}

impl Deref for Auth {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("origin", &self.origins.auth).finish_non_exhaustive()
    }
}
