//! Servers that run inside this process.

mod demo;

use std::fmt;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use model::Principal;
use protocol::mcp::{Code, Envelope, Era, Message, Meta, RpcError, method};
use serde_json::value::RawValue;

pub use self::demo::Demo;
use crate::{Answer, Call, Event, EventStream, Outcome, UpstreamError, Verb};

/// A request in the internal form, which is the modern one: no session, no handshake.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub principal: Principal,
    /// What for.
    pub method: Box<str>,
    /// With which parameters.
    pub params: Option<Box<RawValue>>,
    /// The token to report progress under, if the client wants any.
    pub progress_token: Option<Box<RawValue>>,
}

/// A server that runs inside this process. It knows one era; the router's adapters know the other.
pub trait Builtin: Send + Sync + fmt::Debug {
    /// Its name in `{ kind = "builtin", name = "…" }`.
    fn name(&self) -> &'static str;

    /// Answers a request. Nothing runs before the stream is polled, and dropping it cancels the request.
    fn answer(&self, request: Request) -> EventStream;
}

/// Gives an exchange to a builtin server.
pub(crate) fn exchange(builtin: &dyn Builtin, call: Call) -> Result<Answer, UpstreamError> {
    if call.verb != Verb::Post {
        // It sends nothing by itself and has no sessions to end (2025-11-25, transports: 405 for both).
        let mut response = Response::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Ok(Answer::Pass(response));
    }
    let envelope = Envelope::parse(&call.body).map_err(|_| UpstreamError::Nonsense("the router let it through"))?;
    let Message::Request { method, .. } = &envelope.message else {
        return Ok(Answer::Events(just(Outcome::Accepted)));
    };
    // The legacy handshake is discovery under another name, and a legacy ping needs no server.
    let method = match (call.era, method.as_ref()) {
        (Era::Legacy, method::INITIALIZE) => method::DISCOVER,
        (Era::Legacy, method::PING) => return Ok(Answer::Events(just(complete(&serde_json::json!({}))))),
        (_, method) => method,
    };
    let meta = match envelope.peek() {
        Some(params) => params.meta(),
        None => None,
    };
    let Some(Meta { progress_token, .. }) = meta else {
        let error = RpcError::new(Code::INVALID_PARAMS, "params are not an object, or an ambiguous one");
        return Ok(Answer::Events(just(Outcome::Error(error))));
    };
    Ok(Answer::Events(builtin.answer(Request {
        method: method.into(),
        params: envelope.params.map(ToOwned::to_owned),
        progress_token: progress_token.map(ToOwned::to_owned),
        principal: call.principal,
    })))
}

/// A stream of one outcome.
pub fn just(outcome: Outcome) -> EventStream {
    Box::pin(stream::iter([Event::Outcome(outcome)]))
}

/// A complete result.
pub fn complete(result: &serde_json::Value) -> Outcome {
    Outcome::Complete(raw(result))
}

/// The text of a JSON value.
pub fn raw(value: &serde_json::Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value serialises")
}

#[cfg(test)]
mod tests;
