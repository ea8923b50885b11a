//! The upstream of `cargo xtask bench`: `bench-upstream PORT`. It answers at the least cost that hyper has,
//! by what the request's headers say, and looks at no body.
//!
//! | request | answer |
//! |---|---|
//! | `Mcp-Method: tools/call`, `Mcp-Name: stream` | a stream of events: one notification, then the result |
//! | `Mcp-Method: tools/call`, `Mcp-Name: large` | a result of 64 KiB |
//! | `Mcp-Method: tools/call`, any other name | a small result |
//! | `Mcp-Method: tools/list` | 100 tools, about 37 KB |
//! | `Mcp-Method: subscriptions/listen` | a stream of events that stays open and silent |
//! | no `Mcp-Method`, a session | a small result, in the older form |
//! | no `Mcp-Method`, no session | the answer to `initialize`, with a session |

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

static SMALL: Bytes = Bytes::from_static(
    br#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"hello, world"}],"isError":false}}"#,
);
static LEGACY: Bytes = Bytes::from_static(
    br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello, world"}],"isError":false}}"#,
);
static INITIALIZED: Bytes = Bytes::from_static(
    br#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}}"#,
);
static OPENED: Bytes = Bytes::from_static(b": open\n\n");
static STREAM: LazyLock<Bytes> = LazyLock::new(|| {
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.5}}"#;
    let result = std::str::from_utf8(&SMALL).expect("JSON is text");
    format!("event: message\ndata: {progress}\n\nevent: message\ndata: {result}\n\n").into()
});
static LARGE: LazyLock<Bytes> = LazyLock::new(|| {
    let text = "x".repeat(64 * 1024);
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}}}"#)
        .into()
});
static TOOLS: LazyLock<Bytes> = LazyLock::new(|| {
    let tools: Vec<_> = (0..100).map(tool).collect();
    let tools = tools.join(",");
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","ttlMs":0,"tools":[{tools}]}}}}"#).into()
});

fn tool(at: usize) -> String {
    format!(
        r#"{{"name":"tool_{at:03}","title":"Tool {at:03}","description":"Looks up the record that has this name in the collection, and says when it was last changed and by whom.","inputSchema":{{"type":"object","properties":{{"name":{{"type":"string","description":"The record's name"}},"limit":{{"type":"integer","minimum":1,"maximum":100}}}},"required":["name"]}},"annotations":{{"readOnlyHint":true}}}}"#
    )
}

/// An answer's body: one piece, or one piece and then silence.
struct Answer {
    piece: Bytes,
    open: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match (std::mem::take(&mut self.piece), self.open) {
            (piece, _) if !piece.is_empty() => Poll::Ready(Some(Ok(Frame::data(piece)))),
            // Nobody wakes this; the connection notices by itself when its client has gone.
            (_, true) => Poll::Pending,
            (_, false) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && !self.open
    }

    fn size_hint(&self) -> SizeHint {
        if self.open { SizeHint::default() } else { SizeHint::with_exact(self.piece.len() as u64) }
    }
}

/// A stream of events has no length, whether or not it is known.
struct Chunked(Answer);

impl Body for Chunked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

type Bodies = http_body_util::Either<Answer, Chunked>;

fn json(piece: &Bytes) -> Response<Bodies> {
    let mut response = Response::new(Bodies::Left(Answer { piece: piece.clone(), open: false }));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

fn events(piece: &Bytes, open: bool) -> Response<Bodies> {
    let mut response = Response::new(Bodies::Right(Chunked(Answer { piece: piece.clone(), open })));
    response.headers_mut().insert(header::CONTENT_TYPE, EVENTS);
    if open {
        // Or nginx would keep the first bytes until there are more.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    response
}

fn answer(headers: &HeaderMap) -> Response<Bodies> {
    let text = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    match (text(METHOD), text(NAME)) {
        (Some(b"tools/call"), Some(b"stream")) => events(&STREAM, false),
        (Some(b"tools/call"), Some(b"large")) => json(&LARGE),
        (Some(b"tools/list"), _) => json(&TOOLS),
        (Some(b"subscriptions/listen"), _) => events(&OPENED, true),
        (None, _) if headers.contains_key(SESSION) => json(&LEGACY),
        (None, _) => {
            let mut response = json(&INITIALIZED);
            response.headers_mut().insert(SESSION, HeaderValue::from_static("3f1c9e0e-5f0b-4f6c-9c0e-0b5a8a1d7c11"));
            response
        }
        _ => json(&SMALL),
    }
}

async fn serve(request: Request<Incoming>) -> Result<Response<Bodies>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(answer(&head.headers))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: bench-upstream PORT")?.parse()?;
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(serve));
            // Clients that go away are no news.
            tokio::spawn(async move { drop(connection.await) });
        }
    })
}
