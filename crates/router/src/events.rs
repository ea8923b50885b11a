//! An exchange in the internal form, written down for the client's era. The internal form is the modern one,
//! so the modern adapter adds what every message has and the legacy one takes away what that era lacks.

mod legacy;
mod modern;

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Response, StatusCode, header};
use protocol::mcp::{Code, RpcError, sse};
use serde_json::value::RawValue;
use tokio::time::{Instant, Sleep};
use upstream::{Event, EventStream, Outcome};

use crate::{Body, tunnel::no_buffering};

/// How outcomes look to this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As they are.
    Modern,
    /// Without what came later.
    Legacy,
    /// The answer to `initialize`, made of what the server offers.
    Initialize {
        /// The version that was agreed on.
        version: &'static str,
    },
    /// The answer to `resources/read`, whose "not found" has a code of its own.
    LegacyRead,
}

/// A stream of events on its way to the client.
pub(crate) struct EventBody {
    events: EventStream,
    /// What was looked at to choose the status.
    first: Option<Event>,
    done: bool,
    id: Box<str>,
    shape: Shape,
    keep_alive: Duration,
    timer: Pin<Box<Sleep>>,
}

/// Answers with a stream of events: JSON when the first event is the outcome, else SSE. The status is chosen
/// before the stream opens, which is why the first event is waited for.
pub(crate) async fn answer(
    mut events: EventStream,
    id: Option<&str>,
    shape: Shape,
    keep_alive: Duration,
) -> Response<Body> {
    let first = events.next().await;
    let (Some(id), Some(first)) = (id, first) else { return accepted() };
    match first {
        Event::Outcome(Outcome::Accepted) => accepted(),
        Event::Outcome(outcome) => {
            let (status, body) = write(shape, id, outcome);
            with_type(status, Body::full(body), "application/json")
        }
        first @ Event::Notification { .. } => {
            let body = EventBody {
                events,
                first: Some(first),
                done: false,
                id: id.into(),
                shape,
                keep_alive,
                timer: Box::pin(tokio::time::sleep(keep_alive)),
            };
            let mut response = with_type(StatusCode::OK, Body::events(body), "text/event-stream");
            no_buffering(response.headers_mut());
            response
        }
    }
}

fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn with_type(status: StatusCode, body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn write(shape: Shape, id: &str, outcome: Outcome) -> (StatusCode, Vec<u8>) {
    match shape {
        Shape::Modern => modern::write(id, outcome),
        shape => (StatusCode::OK, legacy::write(shape, id, outcome)),
    }
}

/// What a stream that ends without an outcome is answered with.
fn no_outcome() -> Outcome {
    Outcome::Error(RpcError::new(Code::INTERNAL, "the server ended without an answer"))
}

impl EventBody {
    /// The next bytes of the stream; a comment when it was silent for long.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.done {
            return Poll::Ready(None);
        }
        let event = match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.events.as_mut().poll_next(cx),
        };
        let bytes = match event {
            Poll::Ready(event) => self.write(event),
            Poll::Pending => {
                std::task::ready!(self.timer.as_mut().poll(cx));
                Bytes::from_static(sse::KEEP_ALIVE)
            }
        };
        self.timer.as_mut().reset(Instant::now() + self.keep_alive);
        Poll::Ready(Some(bytes))
    }

    fn write(&mut self, event: Option<Event>) -> Bytes {
        let message = match event.unwrap_or_else(|| Event::Outcome(no_outcome())) {
            Event::Notification { method, params } => notification(&method, &params),
            Event::Outcome(outcome) => {
                self.done = true;
                write(self.shape, &self.id, outcome).1
            }
        };
        let mut out = Vec::with_capacity(message.len() + 32);
        sse::write_message(&mut out, &message);
        out.into()
    }
}

fn notification(method: &str, params: &RawValue) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Notification<'a> {
        jsonrpc: &'static str,
        method: &'a str,
        params: &'a RawValue,
    }
    serde_json::to_vec(&Notification { jsonrpc: "2.0", method, params }).expect("a notification serialises")
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody").field("shape", &self.shape).field("done", &self.done).finish_non_exhaustive()
    }
}
