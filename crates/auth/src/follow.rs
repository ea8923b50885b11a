use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use model::{Clock, GrantId, Timestamp, TokenId};
use storage::{
    Change, ChangeKind, Follow, TOMBSTONE_LIFE, pages,
    repo::{Raised, Repos, Revoked, RevokedToken},
};

use crate::{keys::KeySet, watch::Watchers};

/// The version that no token of an ended grant has.
const ENDED: u32 = u32::MAX;

/// What every request with a token needs: signing keys and revocations, in memory.
///
/// Invariant: reading takes no lock and does no I/O. The feed keeps it current.
pub(crate) struct Snapshot {
    repos: Repos,
    clock: Arc<dyn Clock>,
    keys: ArcSwap<KeySet>,
    ends: ArcSwap<Ends>,
    watchers: Arc<Watchers>,
}

/// What is no good any more, for as long as a token of it could live.
#[derive(Clone, Debug, Default)]
struct Ends {
    /// The least version that tokens of a grant must have, and when that was heard of.
    grants: HashMap<GrantId, (u32, Timestamp)>,
    /// Single tokens, and when that was heard of.
    tokens: HashMap<TokenId, Timestamp>,
}

impl Ends {
    fn require(&mut self, grant: GrantId, version: u32, now: Timestamp) {
        let (least, at) = self.grants.entry(grant).or_insert((version, now));
        (*least, *at) = ((*least).max(version), now);
    }

    fn forget(&mut self, now: Timestamp) {
        self.grants.retain(|_, (_, at)| *at > now - TOMBSTONE_LIFE);
        self.tokens.retain(|_, at| *at > now - TOMBSTONE_LIFE);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// An empty snapshot, to be filled by a `storage::Follower`.
    pub(crate) fn new(repos: Repos, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (keys, ends) = (ArcSwap::from_pointee(KeySet::empty()), ArcSwap::default());
        Arc::new(Self { repos, clock, keys, ends, watchers: Arc::default() })
    }

    /// The keys of the moment.
    pub(crate) fn keys(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.keys.load()
    }

    /// Whether a token was revoked: with its grant, with what came before a version of that, or by itself.
    pub(crate) fn is_revoked(&self, grant: GrantId, version: u32, token: TokenId) -> bool {
        let ends = self.ends.load();
        ends.grants.get(&grant).is_some_and(|(least, _)| version < *least) || ends.tokens.contains_key(&token)
    }

    /// Who waits for changes.
    pub(crate) fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }

    async fn load_keys(&self) -> storage::Result<()> {
        let keys = self.repos.signing.all().await?;
        self.keys.store(Arc::new(KeySet::new(&keys)));
        Ok(())
    }

    async fn load_ends(&self) -> storage::Result<()> {
        let now = self.clock.now();
        let (grants, since) = (&self.repos.grants, now - TOMBSTONE_LIFE);
        let mut ends = Ends::default();
        let page =
            |after: Option<Revoked>, limit| async move { grants.revoked_since(since, after.as_ref(), limit).await };
        for revoked in pages(page, |last| *last).await? {
            ends.require(revoked.grant, ENDED, now);
        }
        let page =
            |after: Option<Raised>, limit| async move { grants.raised_since(since, after.as_ref(), limit).await };
        for raised in pages(page, |last| *last).await? {
            ends.require(raised.grant, raised.version, now);
        }
        let page = |after: Option<RevokedToken>, limit| async move {
            grants.revoked_tokens(now, after.map(|last| last.id), limit).await
        };
        ends.tokens = pages(page, |last| *last).await?.into_iter().map(|token| (token.id, now)).collect();
        self.ends.store(Arc::new(ends));
        Ok(())
    }

    async fn apply_ends(&self, changes: &[Change]) -> storage::Result<()> {
        let of = |kind| changes.iter().filter(move |change| change.kind == kind).map(|change| &change.subject);
        let raised: Vec<_> = of(ChangeKind::GrantVersion).filter_map(|id| GrantId::from_bytes(id)).collect();
        // One question for all of them.
        let raised = if raised.is_empty() { Vec::new() } else { self.repos.grants.versions(&raised).await? };
        // These say that it is over, for good. Nothing is asked: of a tenant that went with thousands of grants, the
        // next tenant's revocation would wait for thousands of answers.
        let ended: Vec<_> = of(ChangeKind::Grant).filter_map(|id| GrantId::from_bytes(id)).collect();
        let tokens: Vec<_> = of(ChangeKind::Token).filter_map(|id| TokenId::from_bytes(id)).collect();
        if raised.is_empty() && ended.is_empty() && tokens.is_empty() {
            return Ok(());
        }
        let (now, mut ends) = (self.clock.now(), Ends::clone(&self.ends.load()));
        for grant in ended {
            ends.require(grant, ENDED, now);
        }
        for raised in raised {
            ends.require(raised.grant, raised.version, now);
        }
        ends.tokens.extend(tokens.into_iter().map(|token| (token, now)));
        ends.forget(now);
        self.ends.store(Arc::new(ends));
        Ok(())
    }
}

#[async_trait]
impl Follow for Snapshot {
    async fn reload(&self) -> storage::Result<()> {
        self.load_keys().await?;
        self.load_ends().await?;
        self.watchers.wake_all();
        Ok(())
    }

    async fn apply(&self, changes: &[Change]) -> storage::Result<()> {
        let keys = changes.iter().any(|change| change.kind == ChangeKind::SigningKeys);
        let keys = if keys { self.load_keys().await } else { Ok(()) };
        // Revocations do not wait for keys that cannot be read.
        self.apply_ends(changes).await?;
        self.watchers.wake(changes);
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Trial;

    /// Revocations are taken in from the feed itself. The store is closed: whoever asked it would fail.
    #[tokio::test]
    async fn revocations_are_taken_in_without_asking() {
        let trial = Trial::new().await;
        let snapshot = Snapshot::new(trial.store.repos(), trial.clock.clone());
        snapshot.reload().await.unwrap();
        trial.store.close().await;
        assert!(snapshot.reload().await.is_err(), "it cannot be asked");
        let entropy = model::SeededEntropy::new(9);
        let grants = [(); 3].map(|()| GrantId::new(&*trial.clock, &entropy));
        let change = |sequence, grant: &GrantId| Change {
            sequence,
            kind: ChangeKind::Grant,
            tenant: None,
            subject: *grant.bytes(),
        };
        snapshot.apply(&[change(1, &grants[0]), change(2, &grants[1])]).await.unwrap();
        let token = TokenId::new(&*trial.clock, &entropy);
        assert_eq!(grants.map(|grant| snapshot.is_revoked(grant, 1, token)), [true, true, false]);
    }
}
