//! MCP servers over streamable HTTP, of either era.
//!
//! An exchange is one HTTP/1.1 request; what comes back is passed on as it comes. The connection is driven
//! by whoever polls the exchange or its body: there is no task behind it, so an answer's head and first
//! bytes leave in one write, and dropping the exchange or the body closes the upstream's connection. That
//! is how a modern client's cancellation travels upstream; see [`uncancelled`] for legacy ones.
//!
//! Invariants: nothing is buffered; a tenant's connections are used by no other tenant; a request that may
//! have reached the upstream is repeated only when its method does nothing but read.

mod detach;
mod driven;
mod head;
mod pool;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use http_kit::outbound::{Connector, OutboundError};
use hyper::body::Incoming;
use model::UpstreamSource;
use tokio::time::timeout;
use url::Url;

pub use self::{
    detach::{Drain, Drains, Uncancelled, drain, uncancelled},
    head::{HOPS, MAX_HOPS, next_hop},
    pool::close_idle,
};
use self::{
    driven::{AnswerBody, Driven},
    pool::{Home, Pool},
};
use crate::{Answer, Call, Upstream, UpstreamError};

/// How long things may take, and how many connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// From the call to the answer's head. A tool that answers in JSON is at work during this time.
    pub head: Duration,
    /// The longest silence inside an answer that is not a stream of events.
    pub body_idle: Duration,
    /// The longest silence inside a stream of events.
    pub stream_idle: Duration,
    /// How long an unused connection is kept. Servers commonly close theirs after five seconds; a
    /// connection that we close first is never found closed by a call.
    pub keep: Duration,
    /// How many unused connections are kept for each tenant and origin, on each thread.
    pub max_idle: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head: Duration::from_mins(5),
            body_idle: Duration::from_mins(1),
            stream_idle: Duration::from_hours(1),
            keep: Duration::from_secs(4),
            max_idle: 64,
        }
    }
}

/// Upstreams of the kind `http`.
#[derive(Debug)]
pub struct HttpUpstream {
    connector: Connector,
    limits: HttpLimits,
    pool: Pool,
}

impl HttpUpstream {
    /// Upstreams that are reached through `connector`.
    pub fn new(connector: Connector, limits: HttpLimits) -> Self {
        Self { connector, limits, pool: Pool::new(limits.keep, limits.max_idle) }
    }

    async fn answer(&self, call: Call) -> Result<Response<AnswerBody>, UpstreamError> {
        let UpstreamSource::Http { url } = &call.server.source else {
            return Err(UpstreamError::Nonsense("it is not reached over HTTP"));
        };
        let repeatable = head::only_reads(call.verb, &call.headers);
        let request = head::request(url, call.verb, call.headers, call.body)?;
        let (driven, response) = self.send(url, call.server.tenant, request, repeatable).await?;
        AnswerBody::start(driven, response, &self.limits, &self.pool).await
    }

    /// Sends over a kept connection if there is one. If it turns out to be closed, the request goes over a
    /// fresh one, provided that the upstream cannot have acted on it.
    async fn send(
        &self,
        url: &Url,
        tenant: model::TenantId,
        mut request: Request<Full<Bytes>>,
        repeatable: bool,
    ) -> Result<(Driven, Response<Incoming>), UpstreamError> {
        let origin = &url[..url::Position::BeforePath];
        if let Some(mut driven) = self.pool.take(tenant, origin).await {
            let copy = repeatable.then(|| request.clone());
            let mut error = match driven.send(request).await {
                Ok(response) => return Ok((driven, response)),
                Err(error) => error,
            };
            // `message` is there only if not a byte of it was written.
            let closed = error.error().is_incomplete_message() || error.error().is_canceled();
            request = match (error.take_message(), copy) {
                (Some(unsent), _) => unsent,
                (None, Some(copy)) if closed => copy,
                _ => return Err(broken(error.into_error())),
            };
        }
        let connection = self.connector.connect(url).await.map_err(not_connected)?;
        let home = Home { tenant, origin: Arc::from(origin) };
        let mut driven = Driven::open(connection, home).await.map_err(broken)?;
        let response = driven.send(request).await.map_err(|error| broken(error.into_error()))?;
        Ok((driven, response))
    }
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn exchange(&self, call: Call) -> Result<Answer, UpstreamError> {
        let answer = timeout(self.limits.head, self.answer(call)).await.map_err(|_| UpstreamError::TimedOut)??;
        Ok(Answer::Pass(answer.map(BodyExt::boxed_unsync)))
    }
}

fn not_connected(error: OutboundError) -> UpstreamError {
    match error {
        OutboundError::Forbidden | OutboundError::Url(_) => UpstreamError::Forbidden,
        OutboundError::TimedOut => UpstreamError::TimedOut,
        OutboundError::TooLarge => UpstreamError::TooLarge,
        OutboundError::Unreachable(_) | OutboundError::Tls(_) => UpstreamError::Unreachable(error.into()),
    }
}

/// What a failure of an established connection means.
fn broken(error: hyper::Error) -> UpstreamError {
    if error.is_parse_too_large() {
        UpstreamError::TooLarge
    } else if error.is_parse() {
        UpstreamError::Nonsense("it is not HTTP")
    } else {
        UpstreamError::Unreachable(error.into())
    }
}

#[cfg(test)]
mod tests;
