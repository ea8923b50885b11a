//! What goes on after a legacy client has gone. In the legacy era a lost connection does not cancel a request
//! (2025-11-25, transports, "Sending messages to the server"), so the exchange is read to its end, unseen.
//!
//! Nothing is spawned while the client is there: the pieces below notice that they are dropped unfinished.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use tokio::{runtime::Handle, sync::Semaphore};
use upstream::{Answer, Event, EventStream, PassBody, UpstreamError};

/// An exchange that has not answered yet.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Answer, UpstreamError>> + Send>>;

/// Reads abandoned exchanges to their end: at most so many at a time, each for at most so long. Beyond that
/// they are cancelled.
#[derive(Debug)]
pub(crate) struct Linger {
    places: Arc<Semaphore>,
    time: Duration,
}

impl Linger {
    pub(crate) fn new(places: usize, time: Duration) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(places)), time })
    }

    fn run(&self, rest: impl Future<Output = ()> + Send + 'static) {
        // Outside a runtime everything is coming down anyway.
        let (Ok(place), Ok(runtime)) = (Arc::clone(&self.places).try_acquire_owned(), Handle::try_current()) else {
            return;
        };
        let time = self.time;
        runtime.spawn(async move {
            if tokio::time::timeout(time, rest).await.is_err() {
                tracing::debug!("an abandoned exchange took too long and was cancelled");
            }
            drop(place);
        });
    }
}

/// Something unfinished that, when dropped, lingers if there is a [`Linger`] for it.
pub(crate) struct Unfinished<T: Drain> {
    rest: Option<T>,
    linger: Option<Arc<Linger>>,
}

/// What can be read to its end.
pub(crate) trait Drain: Sized + Send + 'static {
    fn drain(self) -> impl Future<Output = ()> + Send;
}

impl<T: Drain> Unfinished<T> {
    pub(crate) fn new(rest: T, linger: Option<Arc<Linger>>) -> Self {
        Self { rest: Some(rest), linger }
    }

    /// The thing itself, until it is finished.
    pub(crate) fn rest_mut(&mut self) -> Option<&mut T> {
        self.rest.as_mut()
    }

    /// The thing itself, until it is finished.
    pub(crate) fn rest(&self) -> Option<&T> {
        self.rest.as_ref()
    }

    /// There is nothing left to read.
    pub(crate) fn finish(&mut self) {
        self.rest = None;
    }
}

impl<T: Drain> Drop for Unfinished<T> {
    fn drop(&mut self) {
        if let (Some(rest), Some(linger)) = (self.rest.take(), &self.linger) {
            linger.run(rest.drain());
        }
    }
}

impl<T: Drain> fmt::Debug for Unfinished<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").field("finished", &self.rest.is_none()).finish_non_exhaustive()
    }
}

impl Drain for PassBody {
    async fn drain(mut self) {
        while let Some(Ok(_)) = self.frame().await {}
    }
}

impl Drain for EventStream {
    async fn drain(mut self) {
        while self.next().await.is_some() {}
    }
}

impl Drain for Pending {
    async fn drain(self) {
        match self.await {
            Ok(Answer::Pass(response)) => response.into_body().drain().await,
            Ok(Answer::Events(events)) => events.drain().await,
            Err(_) => {}
        }
    }
}

impl Future for Unfinished<Pending> {
    type Output = Result<Answer, UpstreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let pending = self.rest_mut().expect("a finished future is not polled again");
        let answer = std::task::ready!(pending.as_mut().poll(cx));
        self.finish();
        Poll::Ready(answer)
    }
}

impl Stream for Unfinished<EventStream> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some(events) = self.rest_mut() else { return Poll::Ready(None) };
        let event = std::task::ready!(events.as_mut().poll_next(cx));
        if matches!(event, None | Some(Event::Outcome(_))) {
            self.finish();
        }
        Poll::Ready(event)
    }
}
