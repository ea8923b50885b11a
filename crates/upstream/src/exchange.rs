use std::{error::Error, fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Response};
use http_body_util::combinators::UnsyncBoxBody;
use model::Principal;
use protocol::mcp::{Era, RpcError};
use serde_json::value::RawValue;
use storage::repo::LiveServer;

/// What the client did on the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One message. The only verb of the modern era.
    Post,
    /// A legacy client opens the stream for what the server sends by itself.
    Get,
    /// A legacy client ends its session.
    Delete,
}

/// One exchange, on its way to an upstream.
#[derive(Clone, Debug)]
pub struct Call {
    /// The server and its live revision.
    pub server: Arc<LiveServer>,
    /// Who it acts for.
    pub principal: Principal,
    /// The era that the client speaks.
    pub era: Era,
    /// What the client did.
    pub verb: Verb,
    /// The headers that may travel on, chosen by the router from a fixed list; `Mcp-Session-Id` is the
    /// upstream's own here. Never an `Authorization` or `Cookie` of the client's.
    pub headers: HeaderMap,
    /// The message, as the client sent it; empty for `Get` and `Delete`.
    pub body: Bytes,
}

/// A body that is passed on as it comes. Ends with an error when the upstream breaks off.
pub type PassBody = UnsyncBoxBody<Bytes, UpstreamError>;

/// What an upstream gives back.
pub enum Answer {
    /// Bytes to pass through: the upstream speaks the client's era. Status and headers are the upstream's;
    /// the router decides which of them the client sees.
    Pass(Response<PassBody>),
    /// The exchange in the internal form, to be written down for the client's era.
    Events(EventStream),
}

/// What happens in an exchange, in order; the last event is its outcome. Dropping it cancels the exchange.
pub type EventStream = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// One thing that happens in an exchange. The internal form is the modern one.
#[derive(Debug)]
pub enum Event {
    /// A notification (method and params), for example progress.
    Notification {
        /// For example `notifications/progress`.
        method: String,
        /// Its params.
        params: Box<RawValue>,
    },
    /// How it ended.
    Outcome(Outcome),
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Outcome {
    /// A result; `resultType` is not in it.
    Complete(Box<RawValue>),
    /// The client has to answer questions and call again.
    InputRequired(Box<RawValue>),
    /// The work goes on as a task.
    Task(Box<RawValue>),
    /// An error.
    Error(RpcError),
    /// A notification was taken in; there is nothing to answer.
    Accepted,
}

/// The upstream did not answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its address is one that we do not connect to.
    #[error("the upstream's address is not allowed")]
    Forbidden,
    /// It cannot be reached or broke off.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// It took too long.
    #[error("the upstream took too long")]
    TimedOut,
    /// What it answered is not HTTP, or not what was asked for.
    #[error("the upstream's answer makes no sense: {0}")]
    Nonsense(&'static str),
    /// What it answered is larger than allowed.
    #[error("the upstream's answer is too large")]
    TooLarge,
    /// The exchange came through too many gateways: a server may be its own upstream.
    #[error("the exchange went through too many gateways")]
    Looping,
    /// There is no in-process server of this name in this build.
    #[error("there is no built-in server of this name")]
    UnknownBuiltin,
}

/// Something that answers exchanges.
#[async_trait]
pub trait Upstream: Send + Sync + fmt::Debug {
    /// Sends an exchange; returns when the answer's head is there. Dropping the future, the body or the
    /// stream ends the upstream's side of it.
    async fn exchange(&self, call: Call) -> Result<Answer, UpstreamError>;
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(response) => f.debug_tuple("Pass").field(&response.status()).finish(),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}
