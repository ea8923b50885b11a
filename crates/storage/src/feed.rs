use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use model::{Clock, TenantId, Timestamp, UserId};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{Bus, MasterId, Owner, Result, StorageError};

/// How often the head of the feed is looked at when no hint comes.
const POLL: Duration = Duration::from_millis(500);
/// How many changes are read at a time.
const BATCH: u32 = 1000;

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A tenant: its slugs, state, members, servers or live revisions. `subject` is the tenant.
    Tenant,
    /// A person: their state. `subject` is the person.
    User,
    /// A connection. `subject` is the connection.
    Connection,
    /// A grant was revoked. `subject` is the grant.
    Grant,
    /// A grant's version was raised: its access tokens of before are no good. `subject` is the grant.
    GrantVersion,
    /// A single access token was revoked. `subject` is its `jti`.
    Token,
    /// The signing keys. `subject` is nil.
    SigningKeys,
    /// The data keys of an owner: there is a new one, or they are gone. `subject` is the tenant or the
    /// person, and nil for the platform.
    DataKeys,
}

/// One row of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number, in commit order, without gaps that a reader could step over.
    pub sequence: u64,
    /// What kind of thing changed.
    pub kind: ChangeKind,
    /// In which tenant, if in one.
    pub tenant: Option<TenantId>,
    /// Which: the 16 bytes of its id.
    pub subject: [u8; 16],
}

impl Change {
    /// Whose data keys a [`DataKeys`](ChangeKind::DataKeys) change speaks of.
    pub fn key_owner(&self) -> Owner {
        match self.tenant {
            Some(tenant) => Owner::Tenant(tenant),
            None if self.subject == [0; 16] => Owner::Platform,
            None => Owner::User(UserId::from_bytes(&self.subject).expect("an id is 16 bytes")),
        }
    }
}

impl Owner {
    /// The tenant and the subject of a [`DataKeys`](ChangeKind::DataKeys) change about this owner.
    pub fn in_change(&self) -> (Option<TenantId>, [u8; 16]) {
        match self {
            Self::Platform => (None, [0; 16]),
            Self::Tenant(id) => (Some(*id), *id.bytes()),
            Self::User(id) => (None, *id.bytes()),
        }
    }
}

/// How old a change is at least when clean-up removes it. Only those go that every living replica has taken
/// in; a process that was away for longer reads everything anew.
pub const CHANGE_LIFE: Duration = Duration::from_hours(1);

/// The feed of changes: every transaction that changes what a request may do appends to it.
#[async_trait]
pub trait Changes: Send + Sync + fmt::Debug {
    /// The number of the newest change; 0 before the first.
    async fn head(&self) -> Result<u64>;

    /// The number of the oldest change that is still there; 0 if there never was one. Clean-up removes old
    /// changes from this end, and never the newest.
    async fn oldest(&self) -> Result<u64>;

    /// The changes after `sequence`, in order; at most `limit`.
    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<Change>>;

    /// Appends that the data keys of these owners are others now, in one transaction. Returns the number
    /// of the last change: who has taken in everything up to it has forgotten the keys as they were.
    async fn data_keys_changed(&self, owners: &[Owner]) -> Result<u64>;
}

/// Something that keeps a snapshot of what the feed speaks of.
#[async_trait]
pub trait Follow: Send + Sync + fmt::Debug {
    /// Reads everything anew.
    async fn reload(&self) -> Result<()>;

    /// Takes in changes, in order. Reads the present state of each subject, so that repeating a change
    /// does no harm.
    async fn apply(&self, changes: &[Change]) -> Result<()>;
}

/// Brings changes to the snapshots of this process.
///
/// Invariant: the position moves only after every follower has taken a change in, so a failure is tried
/// again and nothing is skipped.
#[derive(Debug)]
pub struct Follower {
    changes: Arc<dyn Changes>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    followers: Vec<Arc<dyn Follow>>,
    position: Mutex<u64>,
    taken_in: AtomicU64,
    fresh_at: AtomicI64,
    trouble: std::sync::Mutex<Option<Trouble>>,
}

/// Why changes are not taken in, although the feed is there to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// The master key that this process was not given, if that is why.
    pub master: Option<MasterId>,
}

impl Follower {
    /// Loads every snapshot and stands at the feed's present head.
    pub async fn start(
        changes: Arc<dyn Changes>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        followers: Vec<Arc<dyn Follow>>,
    ) -> Result<Arc<Self>> {
        // The head is read first: what commits while the snapshots load is then applied once more.
        let (head, now) = (changes.head().await?, clock.now());
        for follower in &followers {
            follower.reload().await?;
        }
        let (position, fresh_at) = (Mutex::new(head), AtomicI64::new(now.millis()));
        let taken_in = AtomicU64::new(head);
        let trouble = std::sync::Mutex::default();
        Ok(Arc::new(Self { changes, bus, clock, followers, position, taken_in, fresh_at, trouble }))
    }

    /// Takes in everything up to the feed's head. After it returns, what this process wrote before is in
    /// its snapshots. A follower that cannot holds up neither the others nor what comes later: a replica that was
    /// not given a new master key still has to hear of revocations.
    pub async fn sync(&self) -> Result<()> {
        let done = self.take_in_everything().await;
        self.note(&done);
        done
    }

    /// Remembers why changes are not taken in. That the store is away is no trouble of the feed's.
    fn note(&self, done: &Result<()>) {
        let master = match done {
            Ok(()) => return *self.trouble() = None,
            Err(StorageError::Unavailable(_)) => return,
            Err(StorageError::UnknownMasterKey { master, .. }) => Some(*master),
            Err(_) => None,
        };
        let mut trouble = self.trouble();
        let since = trouble.map_or_else(|| self.clock.now(), |before| before.since);
        *trouble = Some(Trouble { since, master });
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().expect("no holder panics")
    }

    /// Why changes are not taken in, if that is not because the store is away.
    pub fn stuck(&self) -> Option<Trouble> {
        *self.trouble()
    }

    async fn take_in_everything(&self) -> Result<()> {
        let mut position = self.position.lock().await;
        let (mut here, mut failed) = (*position, Ok(()));
        loop {
            let now = self.clock.now();
            let changes = self.changes.since(here, BATCH).await?;
            if changes.is_empty() {
                failed?;
                self.fresh_at.store(now.millis(), Ordering::Relaxed);
                return Ok(());
            }
            let (taken_in, done) = self.take_in(here, &changes).await?;
            failed = failed.and(done);
            here = taken_in;
            if failed.is_ok() {
                *position = here;
                self.taken_in.store(here, Ordering::Release);
            }
        }
    }

    /// Brings changes to every follower. Returns how far they reach, and the first failure.
    async fn take_in(&self, position: u64, changes: &[Change]) -> Result<(u64, Result<()>)> {
        if self.fell_behind(position, changes).await? {
            // The head first, as at the start.
            let head = self.changes.head().await?;
            tracing::warn!(position, head, "fell behind the change feed; everything is read anew");
            return Ok((head, self.each(|follower| follower.reload()).await));
        }
        let last = changes.last().map_or(position, |last| last.sequence);
        Ok((last, self.each(|follower| follower.apply(changes)).await))
    }

    /// Has every follower do something, also those behind one that cannot.
    async fn each<'a>(&'a self, work: impl Fn(&'a dyn Follow) -> BoxFuture<'a, Result<()>>) -> Result<()> {
        let mut done = Ok(());
        for follower in &self.followers {
            done = done.and(work(&**follower).await);
        }
        done
    }

    /// Whether changes that were not taken in are gone from the feed. A number that is missing says little:
    /// a transaction may have taken it and come to nothing. If the oldest change is beyond it, nobody can say.
    async fn fell_behind(&self, position: u64, changes: &[Change]) -> Result<bool> {
        let next = position + 1;
        let missing = changes.first().is_some_and(|first| first.sequence > next);
        Ok(missing && self.changes.oldest().await? > next)
    }

    /// The number of the last change that every snapshot of this process has taken in.
    pub fn position(&self) -> u64 {
        self.taken_in.load(Ordering::Acquire)
    }

    /// When the snapshots were last known to be complete.
    pub fn fresh_at(&self) -> Timestamp {
        Timestamp::from_millis(self.fresh_at.load(Ordering::Relaxed))
    }

    /// Follows the feed until `stop`, on hints and every 500 ms.
    pub async fn run(&self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.bus.hinted() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            // Said when it begins and when it is over: an outage is not a line for each of its polls.
            match self.sync().await {
                Err(error) if !failing => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the change feed cannot be read");
                    failing = true;
                }
                Ok(()) if failing => {
                    tracing::info!("the change feed can be read again");
                    failing = false;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
