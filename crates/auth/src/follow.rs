use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use model::{Clock, GrantId, Timestamp};
use storage::{
    Change, ChangeKind, Follow, StorageError, pages,
    repo::{Repos, Revoked},
};

use crate::keys::KeySet;

/// How much longer than a token a revocation is remembered, for clocks that differ.
const MARGIN: Duration = Duration::from_hours(1);

/// What every request with a token needs: signing keys and revocations, in memory.
///
/// Invariant: reading takes no lock and does no I/O. The feed keeps it current.
pub(crate) struct Snapshot {
    repos: Repos,
    clock: Arc<dyn Clock>,
    /// How long a revocation matters.
    memory: Duration,
    keys: ArcSwap<KeySet>,
    revoked: ArcSwap<HashMap<GrantId, Timestamp>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// An empty snapshot, to be filled by a `storage::Follower`. `access` is the longest life of a token.
    pub(crate) fn new(repos: Repos, clock: Arc<dyn Clock>, access: Duration) -> Arc<Self> {
        let (keys, revoked) = (ArcSwap::from_pointee(KeySet::empty()), ArcSwap::default());
        Arc::new(Self { repos, clock, memory: access + MARGIN, keys, revoked })
    }

    /// The keys of the moment.
    pub(crate) fn keys(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.keys.load()
    }

    /// Whether a grant is over.
    pub(crate) fn is_revoked(&self, grant: GrantId) -> bool {
        self.revoked.load().contains_key(&grant)
    }

    async fn load_keys(&self) -> storage::Result<()> {
        let keys = self.repos.signing.all().await?;
        let set = KeySet::new(&keys).map_err(|_| StorageError::damaged("signing_key", "it is not a usable key"))?;
        self.keys.store(Arc::new(set));
        Ok(())
    }
}

#[async_trait]
impl Follow for Snapshot {
    async fn reload(&self) -> storage::Result<()> {
        self.load_keys().await?;
        let now = self.clock.now();
        let (grants, since) = (&self.repos.grants, now - self.memory);
        let page =
            |after: Option<Revoked>, limit| async move { grants.revoked_since(since, after.as_ref(), limit).await };
        let revoked = pages(page, |last| *last).await?;
        self.revoked.store(Arc::new(revoked.into_iter().map(|revoked| (revoked.grant, now)).collect()));
        Ok(())
    }

    async fn apply(&self, changes: &[Change]) -> storage::Result<()> {
        if changes.iter().any(|change| change.kind == ChangeKind::SigningKeys) {
            self.load_keys().await?;
        }
        let now = self.clock.now();
        let mut revoked: Option<HashMap<GrantId, Timestamp>> = None;
        for change in changes.iter().filter(|change| change.kind == ChangeKind::Grant) {
            // It says that the grant is over, for good. Nothing is asked: of a tenant that went with thousands of
            // grants, the next tenant's revocation would wait for thousands of answers.
            let Some(id) = GrantId::from_bytes(&change.subject) else { continue };
            revoked.get_or_insert_with(|| HashMap::clone(&self.revoked.load())).insert(id, now);
        }
        if let Some(mut revoked) = revoked {
            revoked.retain(|_, at| *at > now - self.memory);
            self.revoked.store(Arc::new(revoked));
        }
        Ok(())
    }
}
