//! What a tenant's own server can do to clients and to our origin: 58, 60.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tests::{Answer, TestApp, World};
use tokio::net::TcpListener;

/// What the server behind answers next.
type Script = Arc<Mutex<(u16, Vec<(&'static str, String)>, String)>>;

async fn answer(State(script): State<Script>, _sent: HeaderMap) -> Response {
    let (status, headers, body) = script.lock().expect("no holder panics").clone();
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body.into()).expect("a response")
}

/// An installation with a server that answers as the script says, and mel's token for it.
async fn hosting() -> (TestApp, Script, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let script: Script = Arc::new(Mutex::new((200, Vec::new(), String::new())));
    let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app = TestApp::new().await;
    let server = format!(
        "\n[[tenant.server]]\nslug = \"own\"\nname = \"Own\"\nupstream = {{ kind = \"http\", url = \"http://{address}/mcp\" }}\n"
    );
    let marker = "\n[[tenant]]\nslug = \"other\"";
    app.apply(&World::TWO_TENANTS.0.replace(marker, &format!("{server}{marker}")), false).await;
    let client = app.client("Assistant").await;
    let token = client.tokens(&mut app.signed_in("mel").await, "/t/acme/own/mcp").await.access;
    (app, script, token)
}

async fn call(app: &TestApp, token: &str) -> Answer {
    app.call("/t/acme/own/mcp", Some(token), "tools/list", json!({})).await
}

/// Threat 58: what a server behind says about authorization stays behind.
#[tokio::test]
async fn t58_challenges_of_servers_behind_do_not_reach_clients() {
    let (app, script, token) = hosting().await;
    for status in [401, 403, 407] {
        let challenge = "Bearer resource_metadata=\"https://evil.example/.well-known/oauth-protected-resource\"";
        let headers = vec![
            ("www-authenticate", challenge.to_owned()),
            ("proxy-authenticate", "Basic realm=evil".to_owned()),
            ("link", "<https://evil.example/>; rel=\"oauth-protected-resource\"".to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        *script.lock().expect("no holder panics") = (status, headers, "{\"error\":\"evil.example\"}".to_owned());
        let answer = call(&app, &token).await;
        assert!(![401, 403, 407].contains(&answer.status.as_u16()), "{status} became {}", answer.status);
        for name in ["www-authenticate", "proxy-authenticate", "link"] {
            assert_eq!(answer.header(name), None, "{status}");
        }
        assert!(!answer.body.contains("resource_metadata"), "{}", answer.body);
    }
    // Its own metadata is not at our address either.
    let document = app.send(http::Method::GET, "/.well-known/oauth-protected-resource/t/acme/own/mcp", &[], "").await;
    assert_eq!(document.expect(200).json()["authorization_servers"], json!(["https://portico.test"]));
}

/// Threat 60: whatever a server behind answers is no page, sets no cookie and runs nothing on our origin.
#[tokio::test]
async fn t60_answers_of_servers_behind_are_no_pages() {
    let (app, script, token) = hosting().await;
    for (kind, body) in [
        ("text/html; charset=utf-8", "<script>alert(document.cookie)</script>"),
        ("application/javascript", "self.addEventListener('fetch', () => {})"),
        ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("application/json", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}"),
        ("", "<html>"),
    ] {
        let headers = vec![
            ("content-type", kind.to_owned()),
            ("set-cookie", "__Host-portico=evil; Path=/; Secure".to_owned()),
            ("service-worker-allowed", "/".to_owned()),
            ("clear-site-data", "\"*\"".to_owned()),
            ("access-control-allow-origin", "*".to_owned()),
            ("location", "https://evil.example/".to_owned()),
            ("refresh", "0;url=https://evil.example/".to_owned()),
        ];
        *script.lock().expect("no holder panics") = (200, headers, body.to_owned());
        let answer = call(&app, &token).await;
        let sent = answer.header("content-type").unwrap_or_default();
        assert!(sent.starts_with("application/json") || sent.starts_with("text/event-stream"), "{kind}: {sent}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{kind}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{kind}: {policy}");
        for name in ["set-cookie", "service-worker-allowed", "clear-site-data", "location", "refresh"] {
            assert_eq!(answer.header(name), None, "{kind}");
        }
    }
}
