use std::{
    cell::RefCell,
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use model::TenantId;
use tokio::time::Instant;

use super::driven::Driven;

/// Whose connection it is and where it leads.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) tenant: TenantId,
    pub(super) origin: Arc<str>,
}

/// Connections that wait for their next request. A connection stays on the thread that it was opened on,
/// because that thread's event loop wakes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    /// Tells pools apart: their guards may differ.
    id: u64,
    keep: Duration,
    max_idle: usize,
}

#[derive(Debug)]
struct Idle {
    driven: Driven,
    until: Instant,
}

/// By pool and tenant, then by origin; the newest is last.
type Shelf = HashMap<(u64, TenantId), HashMap<Arc<str>, Vec<Idle>>>;

#[derive(Default)]
struct Thread {
    shelf: Shelf,
    next_sweep: Option<Instant>,
}

thread_local! {
    static IDLE: RefCell<Thread> = RefCell::default();
}

/// Closes the connections of this thread that were unused for too long. Taking and returning connections
/// does this now and then; a thread that has had nothing to do may call it from a timer.
pub fn close_idle() {
    let now = Instant::now();
    IDLE.with_borrow_mut(|thread| thread.sweep(now));
}

impl Thread {
    fn sweep(&mut self, now: Instant) {
        self.shelf.retain(|_, origins| {
            origins.retain(|_, idle| {
                idle.retain(|idle| idle.until > now);
                !idle.is_empty()
            });
            !origins.is_empty()
        });
    }

    fn sweep_when_due(&mut self, now: Instant, every: Duration) {
        if self.next_sweep.is_none_or(|due| due <= now) {
            self.sweep(now);
            self.next_sweep = Some(now + every);
        }
    }
}

impl Pool {
    pub(super) fn new(keep: Duration, max_idle: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), keep, max_idle }
    }

    /// The connection that was used last and is still open.
    pub(super) async fn take(&self, tenant: TenantId, origin: &str) -> Option<Driven> {
        while let Some(mut driven) = self.pop(tenant, origin) {
            // Nobody has watched it while it waited.
            if poll_fn(|cx| Poll::Ready(driven.poll_usable(cx))).await {
                return Some(driven);
            }
        }
        None
    }

    fn pop(&self, tenant: TenantId, origin: &str) -> Option<Driven> {
        let now = Instant::now();
        IDLE.with_borrow_mut(|thread| {
            thread.sweep_when_due(now, self.keep);
            let idle = thread.shelf.get_mut(&(self.id, tenant))?.get_mut(origin)?.pop()?;
            (idle.until > now).then_some(idle.driven)
        })
    }

    /// Keeps a connection whose answer was read to the end.
    pub(super) fn put(&self, driven: Driven) {
        let now = Instant::now();
        let (tenant, origin) = (driven.home().tenant, driven.home().origin.clone());
        // While a thread is ended its storage may be gone already; then the connection is closed.
        let _ = IDLE.try_with(|thread| {
            let mut thread = thread.borrow_mut();
            thread.sweep_when_due(now, self.keep);
            let idle = thread.shelf.entry((self.id, tenant)).or_default().entry(origin).or_default();
            if idle.len() < self.max_idle {
                idle.push(Idle { driven, until: now + self.keep });
            }
        });
    }
}
