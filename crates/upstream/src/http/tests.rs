mod answers;
mod cancelling;
mod connections;
mod requests;

use std::{net::SocketAddr, pin::Pin};

use http::{HeaderMap, HeaderName, HeaderValue};
use http_kit::outbound::{FixedResolver, Guard, Outbound, TrustAnchors};
use model::{Principal, RevisionId, ServerId, TenantId, UserId};
use protocol::mcp::Era;
use storage::repo::LiveServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{PassBody, Verb};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// A server whose side of the conversation the test writes by hand.
struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    async fn accept(&self) -> Peer {
        Peer(self.listener.accept().await.unwrap().0)
    }

    /// Accepts, reads one request and answers it.
    async fn answer(&self, answer: &str) -> (Peer, Received) {
        let mut peer = self.accept().await;
        let received = peer.request().await;
        peer.write(answer).await;
        (peer, received)
    }
}

struct Peer(TcpStream);

#[derive(Debug, PartialEq)]
struct Received {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Peer {
    async fn request(&mut self) -> Received {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a whole request"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(ToOwned::to_owned);
        let line = lines.next().unwrap();
        let mut headers: Vec<String> = lines.collect();
        headers.sort();
        let mut received = Received { line, headers, body: String::new() };
        let length = received.header("content-length").map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        received.body = String::from_utf8(body).unwrap();
        received
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits until the other side has closed; fails if it says something instead.
    async fn closed(&mut self) {
        let read = timeout(Duration::from_secs(5), self.0.read(&mut [0; 1])).await.expect("the connection stays open");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }

    /// Fails if the other side closes or says something within a moment.
    async fn stays_open(&mut self) {
        let read = timeout(Duration::from_millis(100), self.0.read(&mut [0; 1])).await;
        assert!(read.is_err(), "{read:?}");
    }
}

fn limits() -> HttpLimits {
    HttpLimits { head: Duration::from_secs(5), ..HttpLimits::default() }
}

fn upstream_with(limits: HttpLimits) -> HttpUpstream {
    let resolver = FixedResolver::new().with("upstream.example", &["127.0.0.1".parse().unwrap()]);
    let guard = Guard { loopback: true, ..Guard::default() };
    let outbound = Outbound::new(guard, TrustAnchors::none(), Arc::new(resolver));
    HttpUpstream::new(outbound.connector().clone(), limits)
}

fn upstream() -> HttpUpstream {
    upstream_with(limits())
}

fn call_to(url: &str, verb: Verb, headers: &[(&'static str, &'static str)]) -> Call {
    let server = LiveServer {
        id: ServerId::from_bytes(&[1; 16]).unwrap(),
        tenant: TenantId::from_bytes(&[2; 16]).unwrap(),
        slugs: Vec::new(),
        name: "Server".parse().unwrap(),
        revision: RevisionId::from_bytes(&[3; 16]).unwrap(),
        source: UpstreamSource::Http { url: url.parse().unwrap() },
    };
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    Call {
        server: Arc::new(server),
        principal: Principal::User { id: UserId::from_bytes(&[4; 16]).unwrap() },
        era: Era::Modern,
        verb,
        headers: headers.collect::<HeaderMap>(),
        body: if verb == Verb::Post { Bytes::from_static(b"{\"id\":1}") } else { Bytes::new() },
    }
}

fn call(server: &Server) -> Call {
    call_to(&format!("http://{}/mcp", server.address), Verb::Post, &[("mcp-method", "tools/call")])
}

async fn send(upstream: &HttpUpstream, call: Call) -> Result<Response<PassBody>, UpstreamError> {
    match upstream.exchange(call).await? {
        Answer::Pass(response) => Ok(response),
        Answer::Events(_) => panic!("an HTTP upstream passes bytes on"),
    }
}

async fn text(response: Response<PassBody>) -> Result<String, UpstreamError> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

async fn next(body: &mut PassBody) -> Option<Result<String, UpstreamError>> {
    let frame = Pin::new(body).frame().await?;
    Some(frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()))
}
