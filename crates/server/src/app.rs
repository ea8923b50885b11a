use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::Future,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, response::IntoResponse as _};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_kit::{ClientAddress, Origins, Problem, Seldom};
use ipnet::IpNet;
use model::ResourcePath;
use router::Gateway;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::timely::Timely;

/// How long a client may take to send a form or a message that is not for an MCP endpoint, which has a
/// limit of its own.
const RECEIVE: Duration = Duration::from_secs(30);

/// The whole platform, from a request to its answer, without a socket. Cheap to clone.
///
/// A request for a host that is not configured is refused. What is for an MCP endpoint goes straight to the
/// gateway; everything else to the pages' router. Each origin answers for its own part only.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    gateway: Gateway,
    pages: Router,
    hosts: Vec<Host>,
    /// Where people find the pages.
    address: String,
    trusted_proxies: Vec<IpNet>,
}

/// A host we answer for, and what of.
struct Host {
    name: String,
    /// The same with the scheme's default port, as some clients write it.
    with_port: Option<String>,
    pages: bool,
    mcp: bool,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Of an MCP endpoint.
    Mcp(router::Body),
    /// Of everything else.
    Page(axum::body::Body),
}

type BoxError = Box<dyn Error + Send + Sync>;
type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl App {
    pub(crate) fn new(gateway: Gateway, pages: Router, origins: &Origins, trusted_proxies: Vec<IpNet>) -> Self {
        let mut hosts: Vec<Host> = Vec::new();
        for (origin, is_mcp) in [(&origins.auth, false), (&origins.app, false), (&origins.mcp, true)] {
            let (scheme, name) = origin.split_once("://").expect("origins were checked");
            let at = hosts.iter().position(|host| host.name == name).unwrap_or_else(|| {
                let default = if scheme == "https" { 443 } else { 80 };
                let has_port = name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                let with_port = (!has_port).then(|| format!("{name}:{default}"));
                hosts.push(Host { name: name.to_owned(), with_port, pages: false, mcp: false });
                hosts.len() - 1
            });
            hosts[at].pages |= !is_mcp;
            hosts[at].mcp |= is_mcp;
        }
        Self(Arc::new(Inner { gateway, pages, hosts, address: origins.app.clone(), trusted_proxies }))
    }

    /// Answers a request that came from `peer`. Never fails and never panics.
    ///
    /// The two ways are boxed apart, so that an exchange does not carry the size of a page's future.
    pub fn answer<B>(&self, request: Request<B>, peer: IpAddr) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        let host = self.host(&request);
        let (pages, mcp) = host.map_or((false, false), |host| (host.pages, host.mcp));
        let path = request.uri().path();
        if mcp && let Some(path) = self.0.gateway.route(path) {
            return Box::pin(exchange(self.0.gateway.clone(), path, request));
        }
        let for_balancers = matches!(path, "/healthz" | "/readyz");
        let metadata = mcp && path.starts_with("/.well-known/oauth-protected-resource");
        if pages || metadata || for_balancers {
            return Box::pin(page(Arc::clone(&self.0), request, peer));
        }
        let refused = if mcp { Problem::not_found() } else { misdirected(&request, &self.0.address, peer) };
        Box::pin(async { Ok(refused.into_response().map(Body::Page)) })
    }

    /// The configured host that a request is for.
    fn host<B>(&self, request: &Request<B>) -> Option<&Host> {
        let sent = if let Some(authority) = request.uri().authority() {
            authority.as_str()
        } else {
            let mut values = request.headers().get_all(header::HOST).iter();
            let host = values.next()?.to_str().ok()?;
            // RFC 9112 §3.2: more than one is a fault, and a chance to mean two things at once.
            if values.next().is_some() {
                return None;
            }
            host
        };
        let is = |name: &str| name.eq_ignore_ascii_case(sent);
        self.0.hosts.iter().find(|host| is(&host.name) || host.with_port.as_deref().is_some_and(is))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

/// RFC 9110 §15.5.20. Says where to go instead, for whoever typed `localhost` for `127.0.0.1`; and to the log what was
/// asked for, for whoever set `base_url` to something else than people use.
fn misdirected<B>(request: &Request<B>, address: &str, peer: IpAddr) -> Problem {
    static LINES: Seldom = Seldom::new(Duration::from_mins(1));
    let host = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host =
        host.or_else(|| request.headers().get(header::HOST).map(http::HeaderValue::as_bytes)).unwrap_or_default();
    // What was sent, so that a strange one can be told; and not all of it, if it is long.
    let host = host[..host.len().min(100)].escape_ascii();
    if let Some(unlogged) = LINES.pass() {
        tracing::warn!(%host, %peer, served = address, unlogged, "a request for another host was refused");
    } else {
        tracing::debug!(%host, %peer, served = address, "a request for another host was refused");
    }
    let message = format!("This host is not one that is served here. Portico is at {address}");
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message)
}

async fn exchange<B>(gateway: Gateway, path: ResourcePath, request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let (method, started) = (request.method().clone(), Instant::now());
    // Kept only when it will be written: a clone of two texts on every request otherwise.
    let named = tracing::enabled!(tracing::Level::DEBUG).then(|| path.clone());
    let response = match AssertUnwindSafe(gateway.call(path, request)).catch_unwind().await {
        Ok(response) => response.map(Body::Mcp),
        Err(panic) => panicked(&*panic),
    };
    let (status, duration_ms) = (response.status().as_u16(), started.elapsed().as_millis());
    match named {
        Some(path) if status < 500 => tracing::debug!(
            http.request.method = %method, http.route = "/t/{tenant}/{server}/mcp", http.response.status_code = status,
            duration_ms, tenant.slug = %path.tenant, server.slug = %path.server, "exchange"
        ),
        _ if status >= 500 => failed(&method, status, duration_ms),
        _ => {}
    }
    Ok(response)
}

/// A line for an exchange that failed; for those that are put off, which whoever has no token can cause, now and then.
fn failed(method: &http::Method, status: u16, duration_ms: u128) {
    static PUT_OFF: Seldom = Seldom::new(Duration::from_secs(10));
    let Some(unlogged) = (if status == 503 { PUT_OFF.pass() } else { Some(0) }) else { return };
    tracing::warn!(
        http.request.method = %method, http.route = "/t/{tenant}/{server}/mcp", http.response.status_code = status,
        duration_ms, unlogged, "exchange failed"
    );
}

async fn page<B>(app: Arc<Inner>, mut request: Request<B>, peer: IpAddr) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let address = ClientAddress::behind(peer, request.headers(), &app.trusted_proxies);
    request.extensions_mut().insert(address);
    let request = request.map(|body| axum::body::Body::new(Timely::new(body, RECEIVE)));
    let answer = AssertUnwindSafe(app.pages.clone().oneshot(request)).catch_unwind().await;
    Ok(match answer {
        Ok(Ok(response)) => response.map(Body::Page),
        Ok(Err(never)) => match never {},
        Err(panic) => panicked(&*panic),
    })
}

/// A fault of ours, whatever it was: 500, and the log has it.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text");
    Problem::internal(text).into_response().map(Body::Page)
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Mcp(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Page(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Mcp(body) => body.is_end_stream(),
            Self::Page(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Mcp(body) => body.size_hint(),
            Self::Page(body) => body.size_hint(),
        }
    }
}
