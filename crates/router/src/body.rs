use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use protocol::mcp::{Code, RpcError, sse, write_error};
use upstream::PassBody;

use crate::{events::EventBody, watch::Watch};

/// The body of an answer.
///
/// Invariant: while it waits for its upstream it holds nothing of the request but the request's id.
#[derive(Debug)]
pub struct Body(Kind);

/// The upstream broke off in the middle of an answer that cannot say so; the connection has to be closed
/// instead, so that the client does not take the part for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream broke off")]
pub struct BodyError;

enum Kind {
    Full(Bytes),
    Pass(PassBody),
    PassEvents(PassEvents),
    Events(Box<EventBody>),
}

struct PassEvents {
    /// `None` once it has ended.
    body: Option<PassBody>,
    id: Option<Box<str>>,
    watch: Box<Watch>,
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(bytes.into()))
    }

    /// An upstream's JSON, as it comes.
    pub(crate) fn pass(body: PassBody) -> Self {
        Self(Kind::Pass(body))
    }

    /// An upstream's stream of events, as it comes. If it breaks, the request of this id gets an error. When
    /// `watch` says so it ends, so that it outlives neither its token nor what that rests on.
    pub(crate) fn pass_events(body: PassBody, id: Option<Box<str>>, watch: Watch) -> Self {
        Self(Kind::PassEvents(PassEvents { body: Some(body), id, watch: Box::new(watch) }))
    }

    /// Events that are written down here.
    pub(crate) fn events(body: EventBody) -> Self {
        Self(Kind::Events(Box::new(body)))
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(bytes) => f.debug_tuple("Full").field(&bytes.len()).finish(),
            Self::Pass(_) => f.write_str("Pass"),
            Self::PassEvents(_) => f.write_str("PassEvents"),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}

/// What comes next of an upstream's body, or that it broke. Trailers are dropped: they are headers too.
fn poll_pass(body: &mut PassBody, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
    loop {
        match ready!(http_body::Body::poll_frame(Pin::new(&mut *body), cx)) {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an upstream broke off in an answer");
                return Poll::Ready(Some(Err(BodyError)));
            }
            None => return Poll::Ready(None),
        }
    }
}

/// The end of a stream of events that broke: whatever was unfinished is made harmless, then the request
/// gets its error, since a status was sent long ago (`basic/transports/streamable-http`).
fn broken(id: Option<&str>) -> Bytes {
    let mut out = sse::ABORT.to_vec();
    if let Some(id) = id {
        let error = RpcError::new(Code::INTERNAL, "the upstream broke off before its answer was complete");
        sse::write_message(&mut out, &write_error(Some(id), &error));
    }
    out.into()
}

impl PassEvents {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        // Before the data, or an upstream that never pauses would never be looked at.
        let over = self.watch.is_set() && self.watch.poll_over(cx).is_ready();
        let next = match if over { Poll::Pending } else { poll_pass(body, cx) } {
            Poll::Ready(Some(Ok(data))) => return Poll::Ready(Some(data)),
            Poll::Ready(Some(Err(BodyError))) => Some(broken(self.id.as_deref())),
            Poll::Ready(None) => None,
            Poll::Pending if over => None,
            Poll::Pending => {
                ready!(self.watch.poll_over(cx));
                None
            }
        };
        self.body = None;
        Poll::Ready(next)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let data = match &mut self.0 {
            Kind::Full(bytes) if bytes.is_empty() => None,
            Kind::Full(bytes) => Some(Ok(std::mem::take(bytes))),
            Kind::Pass(body) => ready!(poll_pass(body, cx)),
            Kind::PassEvents(events) => ready!(events.poll_next(cx)).map(Ok),
            Kind::Events(body) => ready!(body.poll_next(cx)).map(Ok),
        };
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Pass(body) => http_body::Body::is_end_stream(body),
            Kind::PassEvents(PassEvents { body, .. }) => body.is_none(),
            Kind::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Pass(body) => http_body::Body::size_hint(body),
            // A stream that breaks ends with more than the upstream announced.
            Kind::PassEvents(_) | Kind::Events(_) => SizeHint::default(),
        }
    }
}
