//! Which web pages may call (`basic/transports/streamable-http`, "Security"), and CORS for those that may.
//!
//! Nothing here is decided by cookies, so the answer to every permitted page is the same: `*`, without
//! credentials.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_kit::Origins;

use crate::{
    Body,
    refuse::{Refused, early},
};

/// The origins whose pages may call.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    ours: Origins,
    listed: Box<[String]>,
}

impl Pages {
    pub(crate) fn new(ours: Origins, listed: Vec<String>) -> Self {
        Self { ours, listed: listed.into() }
    }

    /// Refuses a request of a page that may not call: a hostile site that found its way to our address. A
    /// request without `Origin` is not of a page.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if headers.get_all(header::ORIGIN).iter().all(|value| value.to_str().is_ok_and(|origin| self.may_call(origin)))
        {
            Ok(())
        } else {
            Err(early(StatusCode::FORBIDDEN, "pages of this origin may not call"))
        }
    }

    fn may_call(&self, origin: &str) -> bool {
        [&self.ours.auth, &self.ours.mcp, &self.ours.app].into_iter().chain(&self.listed).any(|own| own == origin)
            || is_loopback(origin)
    }
}

/// Whether an origin is a page of the caller's own machine, such as a local inspector.
fn is_loopback(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        })
    })
}

/// Answers a preflight (Fetch standard, "CORS-preflight request"). The same for every path: it says nothing
/// about what is there.
pub(crate) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE, OPTIONS"));
    // `*` covers `Mcp-Param-*`, whose names cannot be listed, and never covers `Authorization`.
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, Content-Type, DPoP, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, \
             Last-Event-ID, *",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

/// Lets the calling page read the answer, and the headers it needs from it.
pub(crate) fn expose(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate, MCP-Protocol-Version, Retry-After"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_ours_listed_ones_and_local_ones_may_call() {
        let ours = Origins::single("https://mcp.example.com").unwrap();
        let pages = Pages::new(ours, vec!["https://client.example".to_owned()]);
        for (origin, may) in [
            ("https://mcp.example.com", true),
            ("https://client.example", true),
            ("http://localhost:6274", true),
            ("http://127.0.0.1", true),
            ("https://[::1]:8443", true),
            ("null", false),
            ("https://evil.example", false),
            ("https://mcp.example.com.evil.example", false),
            ("http://mcp.example.com", false),
            ("http://localhost.evil.example", false),
            ("http://localhost:x", false),
            ("http://127.0.0.1@evil.example", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            assert_eq!(pages.admit(&headers).is_ok(), may, "{origin}");
        }
        assert!(pages.admit(&HeaderMap::new()).is_ok());
    }
}
