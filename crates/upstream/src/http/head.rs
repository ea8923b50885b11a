use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{
        ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
    },
};
use http_body_util::Full;
use protocol::mcp;
use url::{Position, Url};

use crate::{UpstreamError, Verb};

/// Through how many gateways like this one the request came. A server that is registered as its own
/// upstream, directly or by way of others, would call itself without end.
pub const HOPS: HeaderName = HeaderName::from_static("portico-hops");
/// How many gateways a request may pass.
pub const MAX_HOPS: u8 = 4;

/// The value of [`HOPS`] for the next gateway, given the headers that came from the one before;
/// [`UpstreamError::Looping`] when the request went far enough, or says something else than a number.
pub fn next_hop(headers: &HeaderMap) -> Result<HeaderValue, UpstreamError> {
    let so_far = match mcp::header::single(headers, HOPS).map_err(|_| UpstreamError::Looping)? {
        None => 0,
        Some(text) => text.parse::<u8>().map_err(|_| UpstreamError::Looping)?,
    };
    if so_far >= MAX_HOPS {
        return Err(UpstreamError::Looping);
    }
    Ok(HeaderValue::from(u16::from(so_far) + 1))
}

/// Headers that belong to one connection (RFC 9110 §7.6.1), that we write ourselves, or that are the
/// client's secrets towards us.
const NOT_TO_SEND: [HeaderName; 16] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    AUTHORIZATION,
    COOKIE,
    HOST,
    CONTENT_LENGTH,
    ACCEPT,
    USER_AGENT,
];

/// The request to an upstream: the headers that were chosen for it, and those that are ours to write.
pub(super) fn request(
    url: &Url,
    verb: Verb,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, UpstreamError> {
    let hop = next_hop(&headers)?;
    strip(&mut headers);
    headers.insert(HOPS, hop);
    headers.insert(USER_AGENT, http_kit::outbound::USER_AGENT);
    let host = HeaderValue::try_from(&url[Position::BeforeHost..Position::AfterPort]);
    headers.insert(HOST, host.map_err(|_| UpstreamError::Forbidden)?);
    let mut request = Request::new(Full::new(body));
    *request.uri_mut() = Uri::try_from(&url[Position::BeforePath..Position::AfterQuery])
        .map_err(|_| UpstreamError::Nonsense("its URL cannot be requested"))?;
    match verb {
        Verb::Post => {
            *request.method_mut() = Method::POST;
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            // Both, always: the server chooses between them for each answer.
            headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        }
        Verb::Get => {
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        Verb::Delete => *request.method_mut() = Method::DELETE,
    }
    *request.headers_mut() = headers;
    Ok(request)
}

fn strip(headers: &mut HeaderMap) {
    // What `Connection` names is for one connection as well.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&NOT_TO_SEND) {
        headers.remove(name);
    }
}

/// Whether sending it twice does no harm. Only a modern request says so in its headers; of legacy ones
/// the method is not known here.
pub(super) fn only_reads(verb: Verb, headers: &HeaderMap) -> bool {
    let method = || headers.get(mcp::header::METHOD).and_then(|value| value.to_str().ok());
    match verb {
        Verb::Get | Verb::Delete => true,
        Verb::Post => method().is_some_and(|method| {
            method == mcp::method::DISCOVER || method == mcp::method::RESOURCES_READ || method.ends_with("/list")
        }),
    }
}
