use std::time::Duration;

use http::Method;
use serde_json::json;

use super::*;

const NOWHERE: &str = "http://127.0.0.1:1/mcp";

fn list() -> (Vec<(&'static str, String)>, Value) {
    modern("tools/list", json!({}))
}

/// Everything of an answer, with the slugs of the path replaced: what must be the same is compared as bytes.
fn bytes(got: &Got, path: &str) -> String {
    let mut lines: Vec<_> = got.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    lines.sort();
    format!("{}\n{}\n{}", got.status, lines.join("\n"), got.text).replace(path, "PATH")
}

#[tokio::test]
async fn an_anonymous_caller_learns_nothing() {
    let world = World::with(NOWHERE).await;
    let mut seen = Vec::new();
    for path in ["/t/acme/demo/mcp", "/t/acme/draft/mcp", "/t/acme/absent/mcp", "/t/nobody/demo/mcp"] {
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let got = Got::of(world.send(method, path, &[], "").await).await;
            assert_eq!(got.status, 401, "{path}");
            assert!(got.header("www-authenticate").unwrap().contains("resource_metadata="), "{path}");
            seen.push(bytes(&got, path));
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

#[tokio::test]
async fn a_token_is_for_one_server() {
    let world = World::with(NOWHERE).await;
    let (headers, body) = list();
    let stolen = ("authorization", format!("Bearer {}", world.token("/t/acme/twin/mcp", Token::ALICE)));
    for path in ["/t/acme/demo/mcp", "/t/beta/remote/mcp", "/t/acme/absent/mcp"] {
        let mut all = vec![stolen.clone(), ("content-type", "application/json".to_owned())];
        all.extend(headers.clone());
        let got = Got::of(world.send(Method::POST, path, &all, body.to_string()).await).await;
        assert_eq!(got.status, 401, "{path}");
        assert!(got.header("www-authenticate").unwrap().contains("invalid_token"), "{path}");
    }
}

#[tokio::test]
async fn who_is_no_member_or_only_looks_cannot_call() {
    let world = World::with(NOWHERE).await;
    let (headers, body) = list();
    for user in ["vic", "bob"] {
        let got = world.ask("/t/acme/demo/mcp", Token { user, ..Token::ALICE }, &headers, &body).await;
        assert_eq!(got.status, 403, "{user}");
        let challenge = got.header("www-authenticate").unwrap_or_default();
        assert!(!challenge.contains("insufficient_scope"), "{user}: {challenge}");
    }
    for path in ["/t/acme/draft/mcp", "/t/acme/absent/mcp"] {
        assert_eq!(world.ask(path, Token::ALICE, &headers, &body).await.status, 403, "{path}");
    }
    assert_eq!(world.ask("/t/acme/demo/mcp", Token::ALICE, &headers, &body).await.status, 200);
}

#[tokio::test]
async fn reading_and_calling_have_scopes_of_their_own() {
    let world = World::with(NOWHERE).await;
    let reads = Token { scope: "mcp:read", ..Token::ALICE };
    let path = "/t/acme/demo/mcp";
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "demo://about" })),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "greeting", "arguments": { "name": "Ada" } })),
    ] {
        let (headers, body) = modern(method, params);
        assert_eq!(world.ask(path, reads, &headers, &body).await.status, 200, "{method}");
        let none = Token { scope: "offline_access", ..Token::ALICE };
        assert_eq!(world.ask(path, none, &headers, &body).await.status, 403, "{method}");
    }
    for (method, params) in
        [("tools/call", json!({ "name": "echo", "arguments": { "text": "x" } })), ("an/extension", json!({}))]
    {
        let (headers, body) = modern(method, params);
        let got = world.ask(path, reads, &headers, &body).await;
        assert_eq!(got.status, 403, "{method}");
        let challenge = got.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("mcp:tools"), "{challenge}");
    }
}

#[tokio::test]
async fn a_stale_snapshot_answers_nobody() {
    let world = World::with(NOWHERE).await;
    let (headers, body) = list();
    world.later(Duration::from_mins(10));
    assert_eq!(world.ask("/t/acme/demo/mcp", Token::ALICE, &headers, &body).await.status, 200);
    world.later(Duration::from_millis(1));
    let got = world.ask("/t/acme/demo/mcp", Token::ALICE, &headers, &body).await;
    assert_eq!((got.status.as_u16(), got.header("retry-after")), (503, Some("5")));
    world.feed.sync().await.unwrap();
    assert_eq!(world.ask("/t/acme/demo/mcp", Token::ALICE, &headers, &body).await.status, 200);
}

#[tokio::test]
async fn a_member_who_is_removed_is_out_with_the_next_change() {
    let world = World::with(NOWHERE).await;
    let (headers, body) = list();
    let audit = storage::repo::AuditEvent::new(
        &*world.clock,
        &model::OsEntropy,
        storage::repo::Actor::System,
        "member.removed",
        "x",
    );
    assert!(world.repos.tenants.remove_member(world.acme, world.users["alice"], &audit).await.unwrap());
    world.feed.sync().await.unwrap();
    assert_eq!(world.ask("/t/acme/demo/mcp", Token::ALICE, &headers, &body).await.status, 403);
    assert_ne!(world.acme, world.beta);
}
