use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::mcp::Era;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in lines.iter().map(pair) {
        map.append(name, value);
    }
    map
}

/// The era, and what a modern message is refused with: status and code.
fn judge(lines: &[(&str, &str)], body: &str) -> (Era, Option<(u16, i32)>) {
    let headers = headers(lines);
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    let params = envelope.peek().unwrap();
    let meta = params.meta().unwrap();
    let era = Era::of_message(&headers, &envelope, &meta);
    let refusal = match era {
        Era::Modern => check_modern(&headers, &envelope, &params, &meta).err(),
        Era::Legacy => None,
    };
    (era, refusal.map(|refusal| (refusal.status.as_u16(), refusal.error.code)))
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

/// The headers, the body, and what comes of it: status and code.
type Case<'a> = (Vec<(&'a str, &'a str)>, String, Option<(u16, i32)>);

const V: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

#[test]
fn the_era_is_decided_in_order() {
    let with_meta = |method: &str| request(method, META);
    let old_meta = META.replace("2026-07-28", "2025-11-25");
    for (lines, body, era) in [
        (&[][..], with_meta("tools/list"), Era::Modern),
        (&[], request("tools/list", &old_meta), Era::Modern),
        (&[], with_meta("initialize"), Era::Modern),
        (&[], request("initialize", r#""protocolVersion":"2026-07-28""#), Era::Legacy),
        (&[V], request("initialize", r#""protocolVersion":"2026-07-28""#), Era::Legacy),
        (&[V], request("tools/list", ""), Era::Modern),
        (&[("mcp-protocol-version", "2099-01-01")], request("tools/list", ""), Era::Modern),
        (&[("mcp-protocol-version", "2025-06-18")], request("tools/list", ""), Era::Legacy),
        (&[("mcp-protocol-version", "nonsense")], request("tools/list", ""), Era::Legacy),
        (&[], request("tools/list", ""), Era::Legacy),
        (&[], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), Era::Legacy),
        (&[], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(), Era::Legacy),
        (&[V], r#"{"jsonrpc":"2.0","method":"notifications/x"}"#.to_owned(), Era::Modern),
    ] {
        assert_eq!(judge(lines, &body).0, era, "{lines:?} {body}");
    }
}

#[test]
fn a_modern_request_is_refused_for_the_first_thing_that_is_wrong() {
    let list = request("tools/list", META);
    let call = |name: &str| request("tools/call", &format!(r#""name":"{name}",{META}"#));
    let m = |method| ("mcp-method", method);
    let n = |name| ("mcp-name", name);
    let future = META.replace("2026-07-28", "2099-01-01");
    let cases: Vec<Case<'_>> = vec![
        (vec![V, m("tools/list")], list.clone(), None),
        (vec![m("tools/list")], list.clone(), Some((400, -32020))),
        (vec![V, m("tools/list")], request("tools/list", ""), Some((400, -32602))),
        (
            vec![V, m("tools/list")],
            request("tools/list", r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#),
            Some((400, -32602)),
        ),
        (vec![V, m("tools/list")], request("tools/list", &META.replace("{}", "[]")), Some((400, -32602))),
        (vec![V, m("tools/list")], request("tools/list", &META.replace("\"2026-07-28\"", "7")), Some((400, -32602))),
        (vec![("mcp-protocol-version", "2025-11-25"), m("tools/list")], list.clone(), Some((400, -32020))),
        (vec![V, V, m("tools/list")], list.clone(), Some((400, -32020))),
        (vec![("mcp-protocol-version", "2099-01-01")], request("tools/list", &future), Some((400, -32022))),
        (vec![V], list.clone(), Some((400, -32020))),
        (vec![V, m("tools/List")], list.clone(), Some((400, -32020))),
        (vec![V, m("tools/list"), m("tools/list")], list, Some((400, -32020))),
        (vec![V, m("initialize")], request("initialize", META), Some((404, -32601))),
        (vec![V, m("ping")], request("ping", META), Some((404, -32601))),
        (vec![V, m("x/unknown")], request("x/unknown", META), None),
        (vec![V, m("tools/call"), n("echo")], call("echo"), None),
        (vec![V, m("tools/call"), n("=?base64?ZWNobw==?=")], call("echo"), None),
        (vec![V, m("tools/call"), n("=?base64?ZWNobw?=")], call("echo"), Some((400, -32020))),
        (vec![V, m("tools/call"), n("=?base64?w6k=?=")], call("é"), None),
        (vec![V, m("tools/call"), n("é")], call("é"), Some((400, -32020))),
        (vec![V, m("tools/call"), n("Echo")], call("echo"), Some((400, -32020))),
        (vec![V, m("tools/call")], call("echo"), Some((400, -32020))),
        (vec![V, m("tools/call"), n("echo"), n("echo")], call("echo"), Some((400, -32020))),
        (vec![V, m("tools/call"), n("echo")], request("tools/call", META), Some((400, -32020))),
        (vec![V, m("tools/call")], request("tools/call", META), None),
        (
            vec![V, m("resources/read"), n("a://b")],
            request("resources/read", &format!(r#""uri":"a://b",{META}"#)),
            None,
        ),
    ];
    for (lines, body, expected) in cases {
        assert_eq!(judge(&lines, &body), (Era::Modern, expected), "{lines:?} {body}");
    }
}

#[test]
fn an_unsupported_version_says_what_is_supported() {
    let future = META.replace("2026-07-28", "2099-01-01");
    let body = request("tools/list", &future);
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    let params = envelope.peek().unwrap();
    let meta = params.meta().unwrap();
    let lines = headers(&[("mcp-protocol-version", "2099-01-01")]);
    let refusal = check_modern(&lines, &envelope, &params, &meta).unwrap_err();
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    assert_eq!(refusal.error.data.unwrap(), json!({ "supported": ["2026-07-28"], "requested": "2099-01-01" }));
}

#[test]
fn notifications_need_nothing_and_responses_are_not_sent() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    assert_eq!(judge(&[V], note), (Era::Modern, None));
    assert_eq!(judge(&[V, ("mcp-method", "notifications/y")], note).1, Some((400, -32020)));
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(judge(&[V], response), (Era::Modern, Some((400, -32600))));
}

#[test]
fn initialize_agrees_on_a_legacy_version() {
    for (asked, answered) in [
        (Some("2025-03-26"), "2025-03-26"),
        (Some("2024-11-05"), "2024-11-05"),
        (Some("2026-07-28"), "2025-11-25"),
        (Some("1.0"), "2025-11-25"),
        (None, "2025-11-25"),
    ] {
        assert_eq!(Era::negotiate_legacy(asked), answered, "{asked:?}");
    }
}
