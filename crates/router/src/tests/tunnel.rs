use serde_json::json;

use super::{
    remote::{answer, json as respond, pieces},
    *,
};

const REMOTE: &str = "/t/acme/remote/mcp";
const RESULT: &str = r#"{ "jsonrpc":"2.0","id":1, "result":{"resultType":"complete","unknown":[1, 2]} }"#;

fn echo() -> (Vec<(&'static str, String)>, Value) {
    modern("tools/call", json!({ "name": "echo", "arguments": { "text": "x" }, "unknown": { "b": 1, "a": 2 } }))
}

#[tokio::test]
async fn bytes_pass_untouched_and_headers_do_not() {
    let remote = Remote::start(|_| {
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer resource_metadata=\"https://evil.example\""),
            ("mcp-session-id", "s"),
            ("x-custom", "1"),
            ("cache-control", "public"),
            ("access-control-allow-origin", "https://evil.example"),
        ];
        answer(200, &headers, RESULT)
    })
    .await;
    let world = World::with(&remote.url).await;
    let (mut headers, body) = echo();
    headers.extend([
        ("cookie", "portico=secret".to_owned()),
        ("mcp-param-region", "eu".to_owned()),
        ("x-forwarded-for", "1.2.3.4".to_owned()),
        ("mcp-session-id", "mine".to_owned()),
    ]);
    let got = world.ask(REMOTE, Token::ALICE, &headers, &body).await;
    assert_eq!((got.status.as_u16(), &*got.text), (200, RESULT));
    let mut names: Vec<_> = got.headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["cache-control", "content-security-policy", "content-type", "x-content-type-options"]);
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("cache-control"), Some("no-store"));
    assert_eq!(got.header("content-security-policy"), Some("sandbox; default-src 'none'"));

    let sent = remote.last();
    assert_eq!(sent.body(), &*body.to_string());
    let mut names: Vec<_> = sent.headers().keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
        "mcp-protocol-version",
        "portico-hops",
        "user-agent",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn what_an_upstream_answers_is_json_or_events_or_not_passed() {
    const PAGE: &str = "<script>alert(1)</script>";
    let html = [("content-type", "text/html")];
    let encoded = [("content-type", "application/json"), ("content-encoding", "gzip")];
    for (response, status) in [
        (answer(200, &html, PAGE), 502),
        (answer(200, &[], PAGE), 502),
        (answer(200, &[("content-type", "image/svg+xml")], PAGE), 502),
        (answer(200, &encoded, PAGE), 502),
        (answer(500, &html, PAGE), 502),
        (answer(302, &[("location", "https://evil.example")], ""), 502),
        (answer(401, &[("content-type", "application/json"), ("www-authenticate", "Bearer")], PAGE), 502),
        (answer(403, &html, PAGE), 502),
        (answer(407, &html, PAGE), 502),
        (answer(400, &html, PAGE), 400),
        (answer(405, &html, PAGE), 405),
        (answer(429, &html, PAGE), 429),
    ] {
        let given = response.status();
        let held = std::sync::Mutex::new(Some(response));
        let remote = Remote::start(move |_| held.lock().unwrap().take().expect("asked once")).await;
        let world = World::with(&remote.url).await;
        let (headers, body) = echo();
        let got = world.ask(REMOTE, Token::ALICE, &headers, &body).await;
        assert_eq!(got.refusal(), (status, -32603), "{given}");
        assert_eq!(got.json()["id"], 1, "{given}");
        assert!(!got.text.contains("script") && got.header("www-authenticate").is_none(), "{given}");
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"), "{given}");
    }
}

#[tokio::test]
async fn json_errors_pass_with_their_status() {
    const ERROR: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"x"}}"#;
    for status in [400, 404, 429, 500, 503] {
        let headers = [("content-type", "application/json"), ("retry-after", "7")];
        let remote = Remote::start(move |_| answer(status, &headers, ERROR)).await;
        let world = World::with(&remote.url).await;
        let (headers, body) = echo();
        let got = world.ask(REMOTE, Token::ALICE, &headers, &body).await;
        assert_eq!((got.status.as_u16(), &*got.text, got.header("retry-after")), (status, ERROR, Some("7")));
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_bad_gateway() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let (headers, body) = echo();
    let got = world.ask(REMOTE, Token::ALICE, &headers, &body).await;
    assert_eq!((got.refusal(), &got.json()["id"]), ((502, -32603), &json!(1)));
}

#[tokio::test]
async fn a_request_that_went_round_in_circles_ends() {
    let remote = Remote::start(|_| respond(RESULT)).await;
    let world = World::with(&remote.url).await;
    let (mut headers, body) = echo();
    headers.push(("portico-hops", upstream::http::MAX_HOPS.to_string()));
    assert_eq!(world.ask(REMOTE, Token::ALICE, &headers, &body).await.refusal(), (508, -32603));
    assert_eq!(remote.count(), 0);
}

#[tokio::test]
async fn a_notification_is_accepted_without_a_body() {
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let chunks = || {
        // Its length is not known when its head is.
        let (_, mut response) = pieces("text/plain");
        *response.status_mut() = http::StatusCode::ACCEPTED;
        response
    };
    for chunked in [false, true] {
        let remote = Remote::start(move |_| if chunked { chunks() } else { answer(202, &[], "") }).await;
        let world = World::with(&remote.url).await;
        let got = world.ask(REMOTE, Token::ALICE, &[], &note).await;
        assert_eq!((got.status.as_u16(), &*got.text), (202, ""));
    }
}
