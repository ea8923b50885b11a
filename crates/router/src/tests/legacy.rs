use std::time::Duration;

use http::Method;
use serde_json::json;

use super::{
    remote::{answer, json as respond},
    *,
};

const DEMO: &str = "/t/acme/demo/mcp";
const REMOTE: &str = "/t/acme/remote/mcp";
const SESSION: &str = "upstream-session-1";

fn initialize(version: &str) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    legacy("initialize", &json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client }))
}

/// A server that opens a session and answers everything with `{}`.
async fn sessions() -> (Remote, World) {
    let remote = Remote::start(|request| {
        let mut response = respond(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
        if String::from_utf8_lossy(request.body()).contains("initialize") {
            response.headers_mut().insert("mcp-session-id", SESSION.parse().unwrap());
        }
        response
    })
    .await;
    let world = World::with(&remote.url).await;
    (remote, world)
}

#[tokio::test]
async fn the_builtin_server_speaks_the_legacy_era_too() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let got = world.ask(DEMO, Token::ALICE, &[], &initialize("2025-06-18")).await;
    let message = got.json();
    assert_eq!((got.status.as_u16(), &message["id"]), (200, &json!("a")));
    assert_eq!(message["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(message["result"]["serverInfo"]["name"], "portico-demo");
    assert_eq!(message["result"]["capabilities"], json!({ "tools": {}, "resources": {}, "prompts": {} }));
    let members: Vec<_> = message["result"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["protocolVersion", "capabilities", "serverInfo", "instructions"]);

    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let got = world.ask(DEMO, Token::ALICE, &[], &note).await;
    assert_eq!((got.status.as_u16(), &*got.text), (202, ""));

    let listed = world.ask(DEMO, Token::ALICE, &[], &legacy("tools/list", &json!({}))).await.json();
    let members: Vec<_> = listed["result"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["tools"]);

    for (method, params, code) in [
        ("no/such", json!({}), -32601),
        ("resources/read", json!({ "uri": "demo://x" }), -32002),
        ("tools/call", json!({ "name": "nothing" }), -32602),
    ] {
        let got = world.ask(DEMO, Token::ALICE, &[], &legacy(method, &params)).await;
        assert_eq!(got.refusal(), (200, code), "{method}");
    }
    let pong = world.ask(DEMO, Token::ALICE, &[], &legacy("ping", &json!({}))).await;
    assert_eq!(pong.json()["result"], json!({}));
}

#[tokio::test]
async fn there_is_no_stream_to_open_on_the_builtin_server() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let bearer = ("authorization", format!("Bearer {}", world.token(DEMO, Token::ALICE)));
    for (method, accept, status) in
        [(Method::GET, "text/event-stream", 405), (Method::GET, "text/html", 406), (Method::DELETE, "*/*", 405)]
    {
        let headers = [bearer.clone(), ("accept", accept.to_owned())];
        let got = Got::of(world.send(method.clone(), DEMO, &headers, "").await).await;
        assert_eq!(got.status, status, "{method} {accept}");
    }
}

#[tokio::test]
async fn a_session_id_travels_sealed_and_comes_back() {
    let (remote, world) = sessions().await;
    let opened = world.ask(REMOTE, Token::ALICE, &[], &initialize("2025-11-25")).await;
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    assert!(!session.contains(SESSION), "{session}");
    assert!(remote.last().headers().get("mcp-session-id").is_none());

    let headers = [("mcp-session-id", session.clone()), ("mcp-protocol-version", "2025-11-25".to_owned())];
    let got = world.ask(REMOTE, Token::ALICE, &headers, &legacy("tools/list", &json!({}))).await;
    assert_eq!((got.status.as_u16(), got.header("mcp-session-id")), (200, None));
    let sent = remote.last();
    assert_eq!(sent.headers()["mcp-session-id"], SESSION);
    assert_eq!(sent.headers()["mcp-protocol-version"], "2025-11-25");
    assert!(sent.headers().get("authorization").is_none());

    let bearer = ("authorization", format!("Bearer {}", world.token(REMOTE, Token::ALICE)));
    let ended = world.send(Method::DELETE, REMOTE, &[bearer, ("mcp-session-id", session)], "").await;
    assert_eq!(ended.status(), 200);
    assert_eq!(
        (remote.last().method(), &remote.last().headers()["mcp-session-id"]),
        (&Method::DELETE, &SESSION.parse().unwrap())
    );
}

#[tokio::test]
async fn a_session_is_of_one_person_one_client_and_one_server() {
    let (remote, world) = sessions().await;
    let opened = world.ask(REMOTE, Token::ALICE, &[], &initialize("2025-11-25")).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let asked = remote.count();
    let own = |id: &str| [("mcp-session-id", id.to_owned())];
    let list = legacy("tools/list", &json!({}));
    let carol = Token { user: "carol", ..Token::ALICE };
    let other = Token { client: "c_two", ..Token::ALICE };
    let bob = Token { user: "bob", ..Token::ALICE };
    let mut changed = session.clone();
    changed.replace_range(40..41, if &session[40..41] == "A" { "B" } else { "A" });
    for (path, token, id) in [
        (REMOTE, carol, &*session),
        (REMOTE, other, &session),
        ("/t/acme/twin/mcp", Token::ALICE, &session),
        ("/t/beta/remote/mcp", bob, &session),
        (DEMO, Token::ALICE, &session),
        (REMOTE, Token::ALICE, SESSION),
        (REMOTE, Token::ALICE, &changed),
    ] {
        let got = world.ask(path, token, &own(id), &list).await;
        assert_eq!(got.status, 404, "{path} {} {} {id}", token.user, token.client);
    }
    let twice = [("mcp-session-id", session.clone()), ("mcp-session-id", session.clone())];
    assert_eq!(world.ask(REMOTE, Token::ALICE, &twice, &list).await.status, 404);
    assert_eq!(remote.count(), asked, "nothing of this reached the upstream");
    assert_eq!(world.ask(REMOTE, Token::ALICE, &own(&session), &list).await.status, 200);

    world.later(crate::Limits::default().session + Duration::from_millis(1));
    world.feed.sync().await.unwrap();
    assert_eq!(world.ask(REMOTE, Token::ALICE, &own(&session), &list).await.status, 404);
}

#[tokio::test]
async fn the_end_of_a_session_reaches_the_client_whatever_the_upstream_says() {
    let remote = Remote::start(|_| answer(404, &[("content-type", "text/html")], "<script>alert(1)</script>")).await;
    let world = World::with(&remote.url).await;
    let got = world.ask(REMOTE, Token::ALICE, &[], &legacy("tools/list", &json!({}))).await;
    assert_eq!(got.refusal(), (404, -32603));
    assert!(!got.text.contains("script"));
}

#[tokio::test]
async fn a_session_id_that_does_not_fit_is_refused() {
    let long: &'static str = String::leak("x".repeat(513));
    for (id, reason) in [(long, "longer than 512"), ("a b", "not allowed")] {
        let remote =
            Remote::start(move |_| answer(200, &[("content-type", "application/json"), ("mcp-session-id", id)], "{}"))
                .await;
        let world = World::with(&remote.url).await;
        let got = world.ask(REMOTE, Token::ALICE, &[], &initialize("2025-11-25")).await;
        assert_eq!(got.refusal(), (502, -32603));
        assert!(got.text.contains(reason), "{}", got.text);
    }
}

#[tokio::test]
async fn a_client_that_answers_needs_only_to_read() {
    let (remote, world) = sessions().await;
    let reads = Token { scope: "mcp:read", ..Token::ALICE };
    let response = json!({ "jsonrpc": "2.0", "id": 3, "result": { "roots": [] } });
    assert_eq!(world.ask(REMOTE, reads, &[], &response).await.status, 200);
    assert_eq!(remote.last().body(), &*response.to_string());
    let call = legacy("tools/call", &json!({ "name": "x" }));
    assert_eq!(world.ask(REMOTE, reads, &[], &call).await.status, 403);
}
