use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use http_kit::outbound::Connection;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use tokio::time::{Instant, Sleep, sleep};

use super::{
    HttpLimits, broken,
    pool::{Home, Pool},
};
use crate::UpstreamError;

/// The largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

type Wire = Pin<Box<http1::Connection<Connection, Full<Bytes>>>>;

/// Moves a connection along. What goes wrong with it is told to the request or the body.
fn poll_wire(wire: &mut Option<Wire>, cx: &mut Context<'_>) {
    if let Some(open) = wire
        && open.as_mut().poll(cx).is_ready()
    {
        // Dropped, because it answers an unfinished request at the latest then.
        *wire = None;
    }
}

/// One connection, and the handle to send over it. It moves only while somebody polls it.
pub(super) struct Driven {
    send: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<Wire>,
    home: Home,
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driven").field(&self.home).finish()
    }
}

impl Driven {
    pub(super) async fn open(connection: Connection, home: Home) -> hyper::Result<Self> {
        let (send, connection) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(connection).await?;
        Ok(Self { send, connection: Some(Box::pin(connection)), home })
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Whether another request can be sent.
    pub(super) fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        poll_wire(&mut self.connection, cx);
        self.connection.is_some() && self.send.is_ready()
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.send.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            poll_wire(connection, cx);
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// The body of an answer, which drives its connection and returns it when it was read to the end. Dropped
/// before, it closes the connection.
///
/// Invariant: it holds nothing of the request.
pub(super) struct AnswerBody {
    body: Incoming,
    /// `None` once the connection was returned or has broken.
    driven: Option<Driven>,
    pool: Pool,
    idle: Duration,
    /// Made when the upstream is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl AnswerBody {
    pub(super) async fn start(
        driven: Driven,
        response: Response<Incoming>,
        limits: &HttpLimits,
        pool: &Pool,
    ) -> Result<Response<Self>, UpstreamError> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(UpstreamError::Nonsense("it changes the protocol"));
        }
        let stream = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
        });
        let idle = if stream { limits.stream_idle } else { limits.body_idle };
        let mut response =
            response.map(|body| Self { body, driven: Some(driven), pool: *pool, idle, timer: None, waiting: false });
        if response.body().body.is_end_stream() {
            let body = response.body_mut();
            poll_fn(|cx| {
                body.finish(cx);
                Poll::Ready(())
            })
            .await;
        }
        Ok(response)
    }

    /// The answer is complete: the connection goes back, unless the upstream closes it.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut driven) = self.driven.take()
            && driven.poll_usable(cx)
        {
            self.pool.put(driven);
        }
    }

    /// The next frame, as far as the connection can be moved now.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            return polled;
        }
        // Asking made room for a frame, which the connection fills now.
        if let Some(driven) = &mut self.driven {
            poll_wire(&mut driven.connection, cx);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.idle)));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(Instant::now() + self.idle);
        }
        timer.as_mut().poll(cx)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = this.poll_incoming(cx) else {
            ready!(this.poll_silence(cx));
            this.driven = None;
            return Poll::Ready(Some(Err(UpstreamError::TimedOut)));
        };
        this.waiting = false;
        match frame {
            Some(Ok(frame)) => {
                // Who knows the length asks no further, so this may be the last time that we are polled.
                if this.body.is_end_stream() {
                    this.finish(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.driven = None;
                Poll::Ready(Some(Err(broken(error))))
            }
            None => {
                this.finish(cx);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
