use http::Method;
use serde_json::json;

use super::*;

const DEMO: &str = "/t/acme/demo/mcp";

#[tokio::test]
async fn pages_that_may_call_can_read_the_answer() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let (mut headers, body) = modern("tools/list", json!({}));
    headers.push(("origin", "https://client.example".to_owned()));
    let got = world.ask(DEMO, Token::ALICE, &headers, &body).await;
    assert_eq!((got.status.as_u16(), got.header("access-control-allow-origin")), (200, Some("*")));
    let challenge = Got::of(world.send(Method::POST, DEMO, &headers, "").await).await;
    assert_eq!((challenge.status.as_u16(), challenge.header("access-control-allow-origin")), (401, Some("*")));
    assert!(challenge.header("access-control-expose-headers").unwrap().contains("WWW-Authenticate"));
    assert_eq!(challenge.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn other_pages_are_refused_before_anything_else() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let (mut headers, body) = modern("tools/list", json!({}));
    headers.push(("origin", "https://evil.example".to_owned()));
    for method in [Method::POST, Method::OPTIONS] {
        let got = Got::of(world.send(method, DEMO, &headers, body.to_string()).await).await;
        assert_eq!((got.status.as_u16(), got.header("access-control-allow-origin")), (403, None));
    }
}

#[tokio::test]
async fn a_preflight_needs_no_token_and_says_nothing() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let headers = [
        ("origin", "http://localhost:6274".to_owned()),
        ("access-control-request-method", "POST".to_owned()),
        ("access-control-request-headers", "authorization,mcp-method,mcp-param-x".to_owned()),
    ];
    for path in [DEMO, "/t/nobody/absent/mcp"] {
        let got = Got::of(world.send(Method::OPTIONS, path, &headers, "").await).await;
        assert_eq!((got.status.as_u16(), got.header("access-control-allow-origin")), (204, Some("*")));
        let allowed = got.header("access-control-allow-headers").unwrap();
        assert!(allowed.contains("Authorization") && allowed.ends_with('*'), "{allowed}");
    }
}
