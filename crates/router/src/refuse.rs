use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use protocol::mcp::{Code, Refusal, RpcError, write_error};
use upstream::UpstreamError;

use crate::Body;

/// An answer that ends the request early. Boxed: it is the rare way out.
pub(crate) type Refused = Box<Response<Body>>;

/// A JSON-RPC error. `id` is the request's, as written, when it is known.
pub(crate) fn rpc(status: StatusCode, id: Option<&str>, error: &RpcError) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from(write_error(id, error))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal of a request whose id is not known or does not matter.
pub(crate) fn early(status: StatusCode, message: &str) -> Refused {
    Box::new(rpc(status, None, &RpcError::new(Code::INVALID_REQUEST, message)))
}

/// What a check of the protocol says.
pub(crate) fn refusal(id: Option<&str>, refusal: &Refusal) -> Refused {
    Box::new(rpc(refusal.status, id, &refusal.error))
}

/// The method is not for this endpoint.
pub(crate) fn method_not_allowed(allow: &'static str) -> Refused {
    let mut response = early(StatusCode::METHOD_NOT_ALLOWED, "this endpoint does not take this HTTP method");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// Too little is known to answer safely.
pub(crate) fn unavailable() -> Refused {
    let error = RpcError::new(Code::INTERNAL, "temporarily unavailable");
    let mut response = Box::new(rpc(StatusCode::SERVICE_UNAVAILABLE, None, &error));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The upstream gave no answer that could be passed on. The reason is one of our own words, never the
/// upstream's: its text is for its owner, not for everybody who may call it.
pub(crate) fn bad_gateway(id: Option<&str>, reason: &str) -> Response<Body> {
    rpc(StatusCode::BAD_GATEWAY, id, &RpcError::new(Code::INTERNAL, reason))
}

/// The upstream did not answer.
pub(crate) fn upstream_failed(id: Option<&str>, error: &UpstreamError) -> Response<Body> {
    let status = match error {
        UpstreamError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::Looping => StatusCode::LOOP_DETECTED,
        UpstreamError::Forbidden
        | UpstreamError::Unreachable(_)
        | UpstreamError::Nonsense(_)
        | UpstreamError::TooLarge
        | UpstreamError::UnknownBuiltin => StatusCode::BAD_GATEWAY,
    };
    rpc(status, id, &RpcError::new(Code::INTERNAL, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_fails_has_a_status_for_it() {
        for (error, status) in [
            (UpstreamError::TimedOut, 504),
            (UpstreamError::Looping, 508),
            (UpstreamError::Unreachable("10.0.0.7: refused".into()), 502),
            (UpstreamError::Forbidden, 502),
            (UpstreamError::Nonsense("x"), 502),
            (UpstreamError::TooLarge, 502),
            (UpstreamError::UnknownBuiltin, 502),
        ] {
            let response = upstream_failed(Some("1"), &error);
            assert_eq!(response.status(), status, "{error}");
            // Where the upstream is, and what exactly went wrong there, is in the log only.
            assert!(!error.to_string().contains("10.0.0.7"));
        }
    }
}
