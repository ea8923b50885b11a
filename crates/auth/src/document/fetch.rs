//! Getting a document.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_kit::outbound::{Limits, Outbound, OutboundError};
use protocol::oauth::DocumentUrl;

/// What a document may cost.
const LIMITS: Limits = Limits { total: Duration::from_secs(5), body: 5 * 1024 };
/// How long a document is good at least, at most, and when its host does not say.
const KEPT: [Duration; 3] = [Duration::from_mins(5), Duration::from_hours(24), Duration::from_hours(1)];

/// A document as it came.
pub(super) struct Fetched {
    pub(super) body: Bytes,
    /// How long it is good.
    pub(super) keep: Duration,
}

/// Why there is none.
pub(super) enum NotFetched {
    /// Nothing came, or not 200. A redirect is that: who follows it borrows one host's name for another's text.
    Away,
    /// What came is no document.
    Broken(&'static str),
}

pub(super) async fn fetch(outbound: &Outbound, address: &DocumentUrl<'_>) -> Result<Fetched, NotFetched> {
    let request = Request::get(address.text)
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|_| NotFetched::Broken("the address cannot be asked"))?;
    let response = match outbound.fetch(request, LIMITS).await {
        Ok(response) => response,
        Err(OutboundError::TooLarge) => return Err(NotFetched::Broken("it is longer than 5 KiB")),
        Err(error) => {
            tracing::info!(client = address.text, error = &error as &dyn std::error::Error, "no document came");
            return Err(NotFetched::Away);
        }
    };
    if response.status() != StatusCode::OK {
        return Err(NotFetched::Away);
    }
    if !is_json(response.headers().get(header::CONTENT_TYPE)) {
        return Err(NotFetched::Broken("it is not JSON by its type"));
    }
    let keep = keep(response.headers());
    Ok(Fetched { body: response.into_body(), keep })
}

/// `application/json`, or something that is JSON underneath (RFC 6839 §3.1).
fn is_json(kind: Option<&HeaderValue>) -> bool {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

/// How long what has these headers is good (RFC 9111 §5.2.2), within our own limits.
fn keep(headers: &HeaderMap) -> Duration {
    let [least, most, unsaid] = KEPT;
    let said = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut keep = unsaid;
    for directive in said.flat_map(|value| value.split(',')) {
        let directive = directive.trim().to_ascii_lowercase();
        match directive.split_once('=') {
            None if directive == "no-store" || directive == "no-cache" => return least,
            Some(("max-age", seconds)) => {
                keep = seconds.trim_matches('"').parse().map_or(least, Duration::from_secs);
            }
            _ => {}
        }
    }
    keep.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_say_how_long_within_limits() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            keep(&headers).as_secs()
        };
        assert_eq!(of(&[]), 3600);
        assert_eq!(of(&["public, max-age=600"]), 600);
        assert_eq!(of(&["public", "Max-Age=\"900\""]), 900);
        assert_eq!(of(&["max-age=0"]), 300);
        assert_eq!(of(&["max-age=99999999"]), 86_400);
        assert_eq!(of(&["max-age=-1"]), 300);
        assert_eq!(of(&["max-age=600, no-store"]), 300);
    }

    #[test]
    fn only_json_is_read() {
        let json = |text| is_json(Some(&HeaderValue::from_static(text)));
        assert!(json("application/json") && json("Application/JSON; charset=utf-8") && json("application/cimd+json"));
        assert!(!json("text/html") && !json("text/json") && !json("application/jsonp") && !is_json(None));
    }
}
