//! What is counted, and what is not.

use serde_json::json;
use storage::usage::Tally;

use super::{Remote, World, legacy, modern, remote::answer, world::Token};

const PATH: &str = "/t/acme/remote/mcp";

#[tokio::test]
async fn requests_that_reach_a_server_are_counted_and_failures_are_errors() {
    let remote = Remote::start(|request| {
        if request.body().windows(4).any(|window| window == b"fail") {
            answer(
                500,
                &[("content-type", "application/json")],
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x"}}"#,
            )
        } else {
            super::remote::json(r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#)
        }
    })
    .await;
    let world = World::with(&remote.url).await;
    let call = async |name: &str, token| {
        let (headers, body) = modern("tools/call", json!({ "name": name, "arguments": {} }));
        world.post(PATH, token, &headers, &body).await.status().as_u16()
    };
    assert!(world.usage.take().is_empty());
    for _ in 0..3 {
        assert_eq!(call("good", Token::ALICE).await, 200);
    }
    assert_eq!(call("fail", Token::ALICE).await, 500);
    // Refused before it was sent: by the scope, and by the role.
    assert_eq!(call("good", Token { scope: "mcp:read", ..Token::ALICE }).await, 403);
    assert_eq!(call("good", Token { user: "vic", ..Token::ALICE }).await, 403);
    // No call: nobody waits for an answer.
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    world.post(PATH, Token::ALICE, &[], &notification).await;
    let taken = world.usage.take();
    assert_eq!(taken.into_values().collect::<Vec<_>>(), [Tally { tenant: world.acme, calls: 4, errors: 1 }]);
    // The other era, and another server.
    let demo = "/t/acme/demo/mcp";
    let listed = world.post(demo, Token::ALICE, &[], &legacy("tools/list", &json!({}))).await;
    assert_eq!(listed.status(), 200);
    let taken = world.usage.take();
    assert_eq!(taken.into_values().collect::<Vec<_>>(), [Tally { tenant: world.acme, calls: 1, errors: 0 }]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let (headers, body) = modern("tools/list", json!({}));
    assert_eq!(world.post(PATH, Token::ALICE, &headers, &body).await.status(), 502);
    let taken = world.usage.take();
    assert_eq!(taken.into_values().collect::<Vec<_>>(), [Tally { tenant: world.acme, calls: 1, errors: 1 }]);
}
