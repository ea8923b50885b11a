//! What tells long answers that something changed which they rest on: a request is judged when it begins, and a
//! stream may stand open for an hour after its grant was revoked.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use model::{GrantId, TenantId, TokenId, UserId};
use storage::{Change, ChangeKind};

use crate::Authorized;

/// More changes than this at once, and everybody looks: that is cheaper than to find out whom they concern.
const MANY: usize = 32;

/// Everybody who waits, in this process.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    entries: HashMap<u64, Arc<Entry>>,
}

/// One who waits, and for whose changes.
#[derive(Debug)]
struct Entry {
    user: Option<UserId>,
    tenant: TenantId,
    grant: Option<GrantId>,
    token: Option<TokenId>,
    changed: AtomicBool,
    waker: AtomicWaker,
}

impl Entry {
    /// Whether a change may be about it. What kind is not known here concerns everybody.
    fn concerns(&self, change: &Change) -> bool {
        let is = |id: Option<[u8; 16]>| id == Some(change.subject);
        match change.kind {
            ChangeKind::Tenant => change.tenant == Some(self.tenant) || is(Some(*self.tenant.bytes())),
            ChangeKind::User => is(self.user.map(|id| *id.bytes())),
            ChangeKind::Grant | ChangeKind::GrantVersion => is(self.grant.map(|id| *id.bytes())),
            ChangeKind::Token => is(self.token.map(|id| *id.bytes())),
            ChangeKind::DataKeys => false,
            _ => true,
        }
    }

    fn wake(&self) {
        self.changed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Watchers {
    /// To be called when every snapshot has taken the changes in.
    pub(crate) fn wake(&self, changes: &[Change]) {
        if changes.len() > MANY {
            return self.wake_all();
        }
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in waiting.entries.values() {
            if changes.iter().any(|change| entry.concerns(change)) {
                entry.wake();
            }
        }
    }

    pub(crate) fn wake_all(&self) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entries.values().for_each(|entry| entry.wake());
    }

    /// Begins to wait.
    pub(crate) fn watch(self: &Arc<Self>, who: &Authorized) -> Watch {
        let entry = Arc::new(Entry {
            user: who.principal.user(),
            tenant: who.tenant,
            grant: who.grant,
            token: who.token.as_ref().map(|token| token.id),
            // What changed between the request's check and now was not heard of.
            changed: AtomicBool::new(true),
            waker: AtomicWaker::new(),
        });
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.last += 1;
        let key = waiting.last;
        waiting.entries.insert(key, Arc::clone(&entry));
        Watch { entry, key, among: Arc::clone(self) }
    }
}

/// Says when something changed that a request's admission rests on. Made by
/// [`Guard::watch`](crate::Guard::watch).
pub struct Watch {
    entry: Arc<Entry>,
    key: u64,
    among: Arc<Watchers>,
}

impl Watch {
    /// Ready once for one change or several; then it is to be asked whether the request would still be admitted.
    pub fn poll_changed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.entry.waker.register(cx.waker());
        if self.entry.changed.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.among.0.lock().unwrap_or_else(PoisonError::into_inner).entries.remove(&self.key);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("key", &self.key).finish_non_exhaustive()
    }
}
