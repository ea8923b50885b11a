//! The fixed lists of headers that cross the gateway.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use protocol::mcp::{Era, header as mcp};
use upstream::http::HOPS;

/// What goes upstream of the client's headers: only what the protocol has there, and through how many
/// gateways the request came. The upstream's adapter writes the rest.
pub(crate) fn upstream(client: &HeaderMap, era: Era) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let fixed: &[HeaderName] = match era {
        Era::Modern => &[mcp::PROTOCOL_VERSION, mcp::METHOD, mcp::NAME, HOPS],
        Era::Legacy => &[mcp::PROTOCOL_VERSION, mcp::LAST_EVENT_ID, HOPS],
    };
    for name in fixed {
        if let Some(value) = client.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if era == Era::Modern {
        // Repeats stay repeats: whether they fit the body is the upstream's to check.
        for (name, value) in client {
            if name.as_str().starts_with(mcp::PARAM_PREFIX) {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    headers
}

/// Whether the client takes a stream of events.
pub(crate) fn accepts_events(client: &HeaderMap) -> bool {
    client
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|part| ["text/event-stream", "text/*", "*/*"].iter().any(|m| media_type(part).eq_ignore_ascii_case(m)))
}

/// A media type without its parameters.
pub(crate) fn media_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(essence, _)| essence).trim()
}

/// Puts on every answer what keeps a hosted server's text from ever being a page of ours: neither sniffed,
/// nor run, nor kept.
pub(crate) fn harden(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn only_the_protocols_headers_travel() {
        let sent = client(&[
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "echo"),
            ("mcp-param-region", "eu"),
            ("mcp-session-id", "s"),
            ("last-event-id", "7"),
            ("portico-hops", "1"),
            ("forwarded", "for=x"),
            ("user-agent", "x"),
            ("connection", "keep-alive, mcp-name"),
        ]);
        let names = |headers: &HeaderMap| {
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        let modern = upstream(&sent, Era::Modern);
        assert_eq!(names(&modern), "mcp-method mcp-name mcp-param-region mcp-protocol-version portico-hops");
        let legacy = upstream(&sent, Era::Legacy);
        assert_eq!(names(&legacy), "last-event-id mcp-protocol-version portico-hops");
    }

    #[test]
    fn events_are_taken_by_those_who_say_so() {
        for (accept, takes) in [
            ("text/event-stream", true),
            ("application/json, text/event-stream;q=0.9", true),
            ("*/*", true),
            ("application/json", false),
            ("text/html", false),
        ] {
            assert_eq!(accepts_events(&client(&[("accept", accept)])), takes, "{accept}");
        }
        assert!(!accepts_events(&HeaderMap::new()));
    }
}
