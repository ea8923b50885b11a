use http::Method;
use serde_json::json;

use super::*;

const DEMO: &str = "/t/acme/demo/mcp";

async fn world() -> World {
    World::with("http://127.0.0.1:1/mcp").await
}

#[tokio::test]
async fn the_builtin_server_answers_in_the_modern_shape() {
    let world = world().await;
    let (headers, body) = modern("server/discover", json!({}));
    let got = world.ask(DEMO, Token::ALICE, &headers, &body).await;
    let message = got.json();
    assert_eq!((&message["jsonrpc"], &message["id"]), (&json!("2.0"), &json!(1)));
    assert_eq!(message["result"]["resultType"], "complete");
    assert_eq!(message["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("mcp-session-id"), None);

    let (headers, body) = modern("tools/call", json!({ "name": "add", "arguments": { "a": 1, "b": 2 } }));
    let got = world.ask(DEMO, Token::ALICE, &headers, &body).await;
    assert_eq!(got.json()["result"]["structuredContent"], json!({ "sum": 3 }));
}

#[tokio::test]
async fn errors_have_the_status_of_their_code() {
    let world = world().await;
    for (method, params, status, code) in [
        ("no/such", json!({}), 404, -32601),
        ("ping", json!({}), 404, -32601),
        ("initialize", json!({}), 404, -32601),
        ("tools/call", json!({ "name": "nothing" }), 200, -32602),
        ("resources/read", json!({ "uri": "demo://x" }), 200, -32602),
        ("tools/list", json!({ "cursor": "x" }), 200, -32602),
    ] {
        let (headers, body) = modern(method, params);
        let got = world.ask(DEMO, Token::ALICE, &headers, &body).await;
        assert_eq!((got.refusal(), &got.json()["id"]), ((status, code), &json!(1)), "{method}");
    }
}

#[tokio::test]
async fn headers_have_to_match_the_body() {
    let world = world().await;
    let (headers, body) = modern("tools/call", json!({ "name": "echo", "arguments": { "text": "x" } }));
    for (name, other, code) in [
        ("mcp-method", Some("tools/list"), -32020),
        ("mcp-method", None, -32020),
        ("mcp-name", Some("add"), -32020),
        ("mcp-name", None, -32020),
        ("mcp-protocol-version", Some("2025-11-25"), -32020),
        ("mcp-protocol-version", None, -32020),
    ] {
        let mut changed: Vec<_> = headers.iter().filter(|(own, _)| *own != name).cloned().collect();
        changed.extend(other.map(|value| (name, value.to_owned())));
        let got = world.ask(DEMO, Token::ALICE, &changed, &body).await;
        assert_eq!((got.refusal(), &got.json()["id"]), ((400, code), &json!(1)), "{name} {other:?}");
    }
}

#[tokio::test]
async fn a_body_is_one_message_of_bounded_size() {
    let world = World::with_limits("http://127.0.0.1:1/mcp", crate::Limits { body: 200, ..Default::default() }).await;
    let bearer = ("authorization", format!("Bearer {}", world.token(DEMO, Token::ALICE)));
    let json_type = ("content-type", "application/json; charset=utf-8".to_owned());
    let large = "x".repeat(201);
    for (headers, body, status) in [
        (vec![bearer.clone(), json_type.clone()], "{", 400),
        (vec![bearer.clone(), json_type.clone()], "[]", 400),
        (vec![bearer.clone(), json_type.clone()], "{}", 400),
        (vec![bearer.clone(), json_type.clone()], &*large, 413),
        (vec![bearer.clone(), json_type, ("content-length", "201".to_owned())], "{}", 413),
        (vec![bearer.clone()], "{}", 415),
        (vec![bearer.clone(), ("content-type", "text/plain".to_owned())], "{}", 415),
    ] {
        let got = Got::of(world.send(Method::POST, DEMO, &headers, body.to_owned()).await).await;
        assert_eq!(got.status, status, "{body} {headers:?}");
        assert!(got.json()["error"]["code"].is_i64());
    }
}

#[tokio::test]
async fn only_posts_are_modern() {
    let world = world().await;
    let headers = [
        ("authorization", format!("Bearer {}", world.token(DEMO, Token::ALICE))),
        ("accept", "text/event-stream".to_owned()),
        ("mcp-protocol-version", "2026-07-28".to_owned()),
    ];
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let got = Got::of(world.send(method.clone(), DEMO, &headers, "").await).await;
        assert_eq!(got.status, 405, "{method}");
        assert!(got.header("allow").unwrap().contains("POST"), "{method}");
    }
}

#[tokio::test]
async fn what_is_asked_for_without_a_header_is_not_a_session() {
    let world = world().await;
    let (mut headers, body) = modern("tools/list", json!({}));
    headers.push(("mcp-session-id", "whatever".to_owned()));
    assert_eq!(world.ask(DEMO, Token::ALICE, &headers, &body).await.status, 200);
}
