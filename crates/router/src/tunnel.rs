//! An upstream that speaks the client's era: its bytes pass through. What does not pass is everything that
//! could make them something else than an answer of MCP.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use protocol::mcp::{Code, RpcError};
use upstream::PassBody;

use crate::{
    Body,
    gateway::{Admitted, State},
    headers::media_type,
    refuse::{bad_gateway, rpc},
    watch::Watch,
};

/// What an answer is, by the media types of the protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Events,
    Nothing,
    Other,
}

impl Form {
    fn of(response: &Response<PassBody>) -> Self {
        let (headers, body) = (response.headers(), response.body());
        // The answer to a notification has no body (2025-11-25, transports). Some servers send it as chunks,
        // of which there are none, or name a type for it.
        let accepted = response.status() == StatusCode::ACCEPTED;
        if accepted || body.is_end_stream() || body.size_hint().exact() == Some(0) {
            return Self::Nothing;
        }
        if is_encoded(headers) {
            return Self::Other;
        }
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match media_type(value) {
            json if json.eq_ignore_ascii_case("application/json") => Self::Json,
            events if events.eq_ignore_ascii_case("text/event-stream") => Self::Events,
            _ => Self::Other,
        }
    }
}

/// Nothing was asked for in any encoding, and nothing of one is taken.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| value.as_bytes() != b"identity")
}

/// What an answer needs to pass.
#[derive(Clone, Copy)]
pub(crate) struct Passage<'a> {
    /// The request's id, as written.
    pub(crate) id: Option<&'a str>,
    /// For a stream that stands open by itself: how long it may.
    pub(crate) standing: Option<Duration>,
    /// Who gets it.
    pub(crate) admitted: &'a Admitted,
}

/// Turns an upstream's answer into ours. Nothing of the upstream's headers is in it but `Retry-After`; its
/// session id is the caller's business.
pub(crate) fn pass(state: &State, response: Response<PassBody>, passage: Passage<'_>) -> Response<Body> {
    let Passage { id, standing, admitted } = passage;
    let (status, form) = (response.status(), Form::of(&response));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
        // Its challenge would send the client to an authorization server that is not ours.
        return bad_gateway(id, "the upstream refused Portico's credentials");
    }
    if !(status.is_success() || status.is_client_error() || status.is_server_error()) {
        return bad_gateway(id, "the upstream answered with a redirect");
    }
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let mut ours = match form {
        Form::Json => typed(Body::pass(response.into_body()), "application/json"),
        Form::Events => {
            let watch = Watch::new(state, &admitted.who, &admitted.path, standing);
            let events = Body::pass_events(response.into_body(), id.map(Into::into), watch);
            let mut ours = typed(events, "text/event-stream");
            no_buffering(ours.headers_mut());
            ours
        }
        Form::Nothing => Response::new(Body::empty()),
        // The status tells a client whether its session is gone, whether there is a stream to open and which
        // era the server speaks, so it stays; the text does not.
        Form::Other if status.is_client_error() => {
            let message = format!("the upstream answered {} without a JSON-RPC message", status.as_u16());
            rpc(status, id, &RpcError::new(Code::INTERNAL, message))
        }
        Form::Other => return bad_gateway(id, "the upstream's answer is neither JSON nor a stream of events"),
    };
    *ours.status_mut() = status;
    if let Some(retry_after) = retry_after {
        ours.headers_mut().insert(header::RETRY_AFTER, retry_after);
    }
    ours
}

fn typed(body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Asks proxies in front of us not to collect a stream before they pass it on.
pub(crate) fn no_buffering(headers: &mut HeaderMap) {
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}
