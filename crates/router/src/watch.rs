use std::{
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use auth::{Authorized, Guard};
use model::ResourcePath;
use tokio::time::{Instant, Sleep};

use crate::gateway::{Freshness, State};

/// Looks whether whom a stream goes to may still have it, whenever something changed that concerns them: a token
/// is checked when a request begins, and a stream may go on for an hour after it was revoked. What no change
/// tells is looked at now and then: that a stream's time is over, and that nobody knows any more what changed.
pub(crate) struct Watch {
    guard: Guard,
    freshness: Arc<Freshness>,
    who: Authorized,
    path: ResourcePath,
    every: Duration,
    /// For a stream that stands open by itself: when it ends.
    end: Option<Instant>,
    /// Set when the stream was waited for: most answers are there at once.
    waiting: Option<Waiting>,
}

struct Waiting {
    changes: auth::Watch,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    /// For the caller `who` at `path`. After `standing` the stream ends in any case.
    pub(crate) fn new(state: &State, who: &Authorized, path: &ResourcePath, standing: Option<Duration>) -> Self {
        let end = standing.map(|time| Instant::now() + time);
        let (guard, freshness) = (state.guard.clone(), Arc::clone(&state.freshness));
        Self { guard, freshness, who: who.clone(), path: path.clone(), every: state.limits.recheck, end, waiting: None }
    }

    /// Ready when the stream has to end.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = self.next();
            let waiting = self.waiting.get_or_insert_with(|| Waiting {
                changes: self.guard.watch(&self.who),
                timer: Box::pin(tokio::time::sleep_until(next)),
            });
            let changed = waiting.changes.poll_changed(cx).is_ready();
            let due = waiting.timer.as_mut().poll(cx).is_ready();
            if !changed && !due {
                return Poll::Pending;
            }
            if due {
                waiting.timer.as_mut().reset(next);
            }
            let over = self.end.is_some_and(|end| end <= Instant::now());
            if over || self.freshness.is_stale() || !self.guard.still_admits(&self.who, &self.path) {
                return Poll::Ready(());
            }
        }
    }

    /// Whether the stream was waited for already, so that the next look is due at some time.
    pub(crate) fn is_set(&self) -> bool {
        self.waiting.is_some()
    }

    fn next(&self) -> Instant {
        let next = Instant::now() + self.every;
        self.end.map_or(next, |end| end.min(next))
    }
}
