use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use auth::{Authorized, Guard};
use model::ResourcePath;
use tokio::time::{Instant, Sleep};

/// Looks now and then whether whom a stream goes to may still have it: a token is checked when a request
/// begins, and a stream may go on for an hour after it was revoked.
pub(crate) struct Watch {
    guard: Guard,
    who: Authorized,
    path: ResourcePath,
    every: Duration,
    /// For a stream that stands open by itself: when it ends.
    end: Option<Instant>,
    /// Set when the stream was waited for: most answers are there at once.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    /// For the caller `who` at `path`. After `standing` the stream ends in any case.
    pub(crate) fn new(
        guard: &Guard,
        who: &Authorized,
        path: &ResourcePath,
        every: Duration,
        standing: Option<Duration>,
    ) -> Self {
        let end = standing.map(|time| Instant::now() + time);
        Self { guard: guard.clone(), who: who.clone(), path: path.clone(), every, end, timer: None }
    }

    /// Ready when the stream has to end.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = self.next();
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            std::task::ready!(timer.as_mut().poll(cx));
            let over = self.end.is_some_and(|end| end <= Instant::now());
            if over || !self.guard.still_admits(&self.who, &self.path) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(next);
        }
    }

    /// Whether the stream was waited for already, so that the next look is due at some time.
    pub(crate) fn is_set(&self) -> bool {
        self.timer.is_some()
    }

    fn next(&self) -> Instant {
        let next = Instant::now() + self.every;
        self.end.map_or(next, |end| end.min(next))
    }
}
