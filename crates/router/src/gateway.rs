use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use auth::{Authorized, Guard};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use http_kit::Origins;
use model::{Clock, ResourcePath};
use protocol::mcp::Era;
use registry::Directory;
use storage::{Follower, SealedTokens, repo::LiveServer, usage::Counters};
use upstream::{Upstream, Verb, http::Drains};

use crate::{
    Body, Limits, exchange,
    headers::{accepts_events, harden},
    origin::{self, Pages},
    receive::receive,
    refuse::{Refused, early, method_not_allowed, unavailable},
};

/// What a [`Gateway`] is made of.
#[derive(Debug)]
pub struct GatewayParts {
    /// Which servers there are, and who is a member where.
    pub directory: Arc<Directory>,
    /// Turns a token into a principal.
    pub guard: Guard,
    /// Where answers come from.
    pub upstreams: Arc<dyn Upstream>,
    /// Seals legacy session ids.
    pub tokens: SealedTokens,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Our own origins.
    pub origins: Origins,
    /// Origins of other pages that may call, for example of a client that runs in browsers.
    pub allowed_origins: Vec<String>,
    /// Knows how old the snapshots are.
    pub fresh: Arc<Follower>,
    /// Counts calls.
    pub usage: Arc<Counters>,
    /// How much, how long, how many.
    pub limits: Limits,
}

/// The data plane. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<State>);

pub(crate) struct State {
    directory: Arc<Directory>,
    pub(crate) guard: Guard,
    pub(crate) upstreams: Arc<dyn Upstream>,
    pub(crate) tokens: SealedTokens,
    pub(crate) clock: Arc<dyn Clock>,
    pages: Pages,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) drains: Drains,
    pub(crate) usage: Arc<Counters>,
    pub(crate) limits: Limits,
}

/// A request that was let through to a server.
pub(crate) struct Admitted {
    pub(crate) path: ResourcePath,
    pub(crate) server: Arc<LiveServer>,
    pub(crate) who: Authorized,
    pub(crate) headers: HeaderMap,
}

/// How old what we know may be.
pub(crate) struct Freshness {
    follower: Arc<Follower>,
    clock: Arc<dyn Clock>,
    limit: Duration,
}

impl Freshness {
    /// Whether too much may have happened that we do not know of: somebody's access may have ended.
    pub(crate) fn is_stale(&self) -> bool {
        self.clock.now().since(self.follower.fresh_at()) > self.limit
    }
}

impl Gateway {
    /// A gateway.
    pub fn new(parts: GatewayParts) -> Self {
        Self(Arc::new(State {
            directory: parts.directory,
            guard: parts.guard,
            upstreams: parts.upstreams,
            tokens: parts.tokens,
            clock: Arc::clone(&parts.clock),
            pages: Pages::new(parts.origins, parts.allowed_origins),
            freshness: Arc::new(Freshness { follower: parts.fresh, clock: parts.clock, limit: parts.limits.stale }),
            drains: Drains::new(parts.limits.drain),
            usage: parts.usage,
            limits: parts.limits,
        }))
    }

    /// The resource that a URL's path means, if it is the path of an MCP endpoint; whether there is such a
    /// server is not asked.
    pub fn route(&self, path: &str) -> Option<ResourcePath> {
        path.parse().ok()
    }

    /// Answers a request on an MCP endpoint. The future is boxed here, once, so that an idle connection of
    /// hyper's does not keep its size.
    pub fn call<B>(
        &self,
        path: ResourcePath,
        request: Request<B>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let of_page = request.headers().contains_key(header::ORIGIN);
            let (mut response, permitted) = match state.pages.admit(request.headers()) {
                Ok(()) => (state.answer(path, request).await.unwrap_or_else(|refused| *refused), true),
                Err(refused) => (*refused, false),
            };
            harden(response.headers_mut());
            if of_page && permitted {
                origin::expose(response.headers_mut());
            }
            response
        })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl State {
    async fn answer<B>(&self, path: ResourcePath, request: Request<B>) -> Result<Response<Body>, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Send,
    {
        let verb = match *request.method() {
            Method::POST => Verb::Post,
            Method::GET => Verb::Get,
            Method::DELETE => Verb::Delete,
            Method::OPTIONS => return Ok(origin::preflight()),
            _ => return Err(method_not_allowed("POST, GET, DELETE, OPTIONS")),
        };
        let (parts, body) = request.into_parts();
        let admitted = self.admit(path, parts)?;
        match verb {
            Verb::Post => {
                let body = receive(&admitted.headers, body, &self.limits).await?;
                exchange::post(self, admitted, body).await
            }
            Verb::Get | Verb::Delete => {
                if Era::of_headers(&admitted.headers) == Era::Modern {
                    return Err(method_not_allowed("POST"));
                }
                if verb == Verb::Get && !accepts_events(&admitted.headers) {
                    return Err(early(StatusCode::NOT_ACCEPTABLE, "a GET has to accept text/event-stream"));
                }
                exchange::legacy(self, admitted, verb).await
            }
        }
    }

    /// Everything that is decided before a byte of the body is read. No I/O and no waiting.
    ///
    /// The server is looked up first and the guard asked whether or not there is one, so that an anonymous
    /// caller learns nothing from the answer and nothing from its time.
    fn admit(&self, path: ResourcePath, parts: Parts) -> Result<Admitted, Refused> {
        if self.freshness.is_stale() {
            return Err(unavailable());
        }
        let server = self.directory.resolve(&path);
        let who = self
            .guard
            .check(&parts.headers, &path, parts.uri.query())
            .map_err(|challenge| Box::new(challenge.map(Body::full)))?;
        // A slug is never given away, but it is the ids that a token is for.
        let same = |server: &Arc<LiveServer>| server.tenant == who.tenant && server.id == who.server;
        let Some(server) = server.filter(same) else {
            return Err(early(StatusCode::NOT_FOUND, "there is no such server"));
        };
        Ok(Admitted { path, server, who, headers: parts.headers })
    }

    /// How long a stream that stands open by itself may: not longer than the token it was opened with.
    pub(crate) fn until_expiry(&self, who: &Authorized) -> Duration {
        who.expires.since(self.clock.now())
    }
}
