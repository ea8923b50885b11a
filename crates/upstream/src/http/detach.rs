use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

use crate::{Answer, Call, Event, EventStream, PassBody, Upstream, UpstreamError};

/// How far an exchange that nobody listens to any more may go on.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How many bytes of its answer are read and thrown away.
    pub bytes: u64,
    /// For how long.
    pub time: Duration,
    /// How many such exchanges there may be at a time; one more is cancelled.
    pub places: usize,
}

impl Default for Drain {
    fn default() -> Self {
        Self { bytes: 64 * 1024 * 1024, time: Duration::from_mins(10), places: 256 }
    }
}

/// The exchanges that nobody listens to any more. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drains(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: Drain,
    places: Arc<Semaphore>,
}

impl Drains {
    /// None yet.
    pub fn new(limit: Drain) -> Self {
        Self(Arc::new(Inner { limit, places: Arc::new(Semaphore::new(limit.places)) }))
    }

    /// Goes on with what is left of an exchange, if there is a place for it. Without a runtime the process
    /// is ending, and the exchange with it.
    fn go_on<F: Future<Output = ()> + Send + 'static>(&self, rest: impl FnOnce(Drain) -> F) {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        if let (Ok(place), Ok(runtime)) = (place, Handle::try_current()) {
            let rest = rest(self.0.limit);
            runtime.spawn(async move {
                rest.await;
                drop(place);
            });
        }
    }
}

/// Reads a body to its end and throws it away, so that the upstream can finish; gives up at the limit or
/// at the first error.
pub async fn drain(mut body: PassBody, limit: Drain) {
    let mut left = limit.bytes;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(rest) = left.checked_sub(size) else { break };
            left = rest;
        }
    };
    // Out of time is as good an end as any: dropping the body closes the upstream's connection.
    let _ = timeout(limit.time, reading).await;
}

async fn drain_answer(answer: Answer, limit: Drain) {
    match answer {
        Answer::Pass(response) => drain(response.into_body(), limit).await,
        Answer::Events(events) => drop(timeout(limit.time, events.for_each(|_| async {})).await),
    }
}

/// Sends an exchange that goes on when its client is gone. Dropping the future, or the answer's body or
/// events, moves what is left of it into a task that drains it.
///
/// For posts of the legacy era, where a client that disconnects has not cancelled anything
/// (2025-11-25, `basic/transports`). Costs nothing while the client stays.
pub fn uncancelled(upstream: Arc<dyn Upstream>, call: Call, drains: &Drains) -> Uncancelled {
    let exchange = Box::pin(async move { upstream.exchange(call).await });
    Uncancelled { exchange: Some(exchange), drains: drains.clone() }
}

type Exchange = Pin<Box<dyn Future<Output = Result<Answer, UpstreamError>> + Send>>;

/// The future of [`uncancelled`].
#[must_use = "nothing is sent before it is polled"]
pub struct Uncancelled {
    /// `None` once it is ready.
    exchange: Option<Exchange>,
    drains: Drains,
}

impl fmt::Debug for Uncancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uncancelled").field("drains", &self.drains).finish_non_exhaustive()
    }
}

impl Future for Uncancelled {
    type Output = Result<Answer, UpstreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = self.exchange.as_mut().expect("not polled again after it was ready");
        let Poll::Ready(answer) = exchange.as_mut().poll(cx) else { return Poll::Pending };
        self.exchange = None;
        let drains = self.drains.clone();
        Poll::Ready(answer.map(|answer| match answer {
            Answer::Pass(response) => {
                Answer::Pass(response.map(|body| DrainedBody { body: Some(body), drains }.boxed_unsync()))
            }
            Answer::Events(events) => Answer::Events(Box::pin(DrainedEvents { events: Some(events), drains })),
        }))
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.drains.go_on(|limit| async move {
                if let Ok(Ok(answer)) = timeout(limit.time, exchange).await {
                    drain_answer(answer, limit).await;
                }
            });
        }
    }
}

struct DrainedBody {
    /// `None` once it has ended.
    body: Option<PassBody>,
    drains: Drains,
}

impl Body for DrainedBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(cx);
        let ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        if ended {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.drains.go_on(|limit| drain(body, limit));
        }
    }
}

struct DrainedEvents {
    /// `None` once they have ended.
    events: Option<EventStream>,
    drains: Drains,
}

impl Stream for DrainedEvents {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        let polled = events.as_mut().poll_next(cx);
        if matches!(polled, Poll::Ready(None | Some(Event::Outcome(_)))) {
            self.events = None;
        }
        polled
    }
}

impl Drop for DrainedEvents {
    fn drop(&mut self) {
        if let Some(events) = self.events.take() {
            self.drains.go_on(|limit| drain_answer(Answer::Events(events), limit));
        }
    }
}
