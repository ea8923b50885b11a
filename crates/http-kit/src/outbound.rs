//! The guarded client for everything that we fetch from others: identity providers, metadata documents,
//! upstreams.
//!
//! It connects only to addresses that the [`Guard`] allows, checked after the name was resolved and at every
//! new connection; it follows no redirects, uses no proxies, keeps no cookies, and takes in no more than it
//! was told to, in no more time.

mod connect;
mod error;
mod guard;
mod resolve;
mod trust;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

pub use self::{
    connect::{Connection, Connector},
    error::OutboundError,
    guard::{Guard, InvalidSocketRange, SocketRange},
    resolve::{FixedResolver, Resolve, SystemResolver},
    trust::{InvalidAnchors, TrustAnchors},
};

/// How we name ourselves to others.
pub const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("portico/", env!("CARGO_PKG_VERSION")));

/// The largest head of an answer that we read, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// What an answer may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the call to the last byte of the answer.
    pub total: Duration,
    /// The answer's body, in bytes.
    pub body: usize,
}

/// The guarded client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Outbound {
    connector: Connector,
    client: Client<Dial, Full<Bytes>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outbound").field(&self.connector).finish()
    }
}

impl Outbound {
    /// A client with these rules. Connects to nothing and reads nothing yet.
    pub fn new(guard: Guard, anchors: TrustAnchors, resolver: Arc<dyn Resolve>) -> Self {
        let connector = Connector::new(guard, anchors, resolver);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .http1_max_buf_size(MAX_HEAD)
            .build(Dial(connector.clone()));
        Self { connector, client }
    }

    /// What makes the connections, for those who stream.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Sends a request and collects its answer, whatever its status. A redirect is an answer like any other.
    pub async fn fetch(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, OutboundError> {
        let request = prepare(request)?;
        let answer = async {
            let response = self.client.request(request).await.map_err(OutboundError::from_client)?;
            let (parts, body) = response.into_parts();
            Ok(Response::from_parts(parts, collect(body, limits.body).await?))
        };
        tokio::time::timeout(limits.total, answer).await.map_err(|_| OutboundError::TimedOut)?
    }
}

/// Checks the URL and sets the headers that are ours to set.
fn prepare(request: Request<Bytes>) -> Result<Request<Full<Bytes>>, OutboundError> {
    let (mut parts, body) = request.into_parts();
    // `Url` reads hosts as browsers do, so that `0x7f.1` is an address here and not a name for the resolver.
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| OutboundError::Url("it is not absolute"))?;
    connect::check_url(&url)?;
    parts.uri = Uri::try_from(url.as_str()).map_err(|_| OutboundError::Url("it is malformed"))?;
    parts.headers.insert(header::USER_AGENT, USER_AGENT);
    // What was not asked for need not be unpacked: no compressed bombs.
    parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(Request::from_parts(parts, Full::new(body)))
}

/// The whole body, unless it is larger than `limit` bytes, whatever `Content-Length` said.
async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, OutboundError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(OutboundError::TooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(OutboundError::unreachable)?.into_data() else { continue };
        if data.len() > limit - whole.len() {
            return Err(OutboundError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The connector, as the pooling client wants it.
#[derive(Clone, Debug)]
struct Dial(Connector);

impl tower::Service<Uri> for Dial {
    type Response = Connection;
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, OutboundError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OutboundError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let url = Url::parse(&uri.to_string()).map_err(|_| OutboundError::Url("it is malformed"))?;
            connector.connect(&url).await
        })
    }
}

#[cfg(test)]
mod tests;
