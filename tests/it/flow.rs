//! The main job, end to end without a socket: register a client, consent, tokens, calls.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::{TestApp, Tokens, World};

const DEMO: &str = "/t/acme/demo/mcp";

#[tokio::test]
async fn a_client_registers_is_allowed_and_calls() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    assert_eq!(tokens.answer["token_type"], "Bearer");

    let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
    let answer = app.call(DEMO, Some(&tokens.access), "tools/call", params).await.expect(200);
    assert!(answer.body.contains("\"5\""), "{}", answer.body);

    let params = json!({ "name": "whoami", "arguments": {} });
    let answer = app.call(DEMO, Some(&tokens.access), "tools/call", params).await.expect(200);
    assert!(answer.body.contains("usr_"), "{}", answer.body);
}

#[tokio::test]
async fn after_expiry_a_refresh_needs_no_person() {
    let app = TestApp::of(World::TWO_TENANTS, "[tokens]\naccess = \"30s\"\n").await;
    let client = app.client("Assistant").await;
    let tokens = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    app.clock.advance(Duration::from_mins(2));
    app.built.follower.sync().await.expect("the feed");
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(401);
    let tokens = Tokens::of(&client.refresh(&tokens.refresh).await.expect(200));
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
}

#[tokio::test]
async fn deny_goes_back_with_state_and_issuer() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let page = client.ask(&mut mel, DEMO).await;
    let answer = mel.decide(&page, "deny").await.expect(303);
    let location = answer.location();
    assert!(location.starts_with(tests::REDIRECT), "{location}");
    assert!(location.contains("error=access_denied"), "{location}");
    assert!(location.contains("state=a%20state%20of%20the%20client"), "{location}");
    assert!(location.contains("iss=https%3A%2F%2Fportico.test"), "{location}");
}

#[tokio::test]
async fn nothing_goes_to_the_client_before_consent() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut nobody = app.browser();
    // `follow` fails at the first redirect that leaves the installation.
    nobody.follow(&client.authorize_path(DEMO)).await.expect(200);
    // Not even for a mistake in the request.
    let wrong = client.authorize_path(DEMO).replace("S256", "plain");
    let answer = nobody.get(&wrong).await;
    assert!(answer.header("location").is_none_or(|location| !location.starts_with(tests::REDIRECT)), "{answer:?}");
}

#[tokio::test]
async fn two_browsers_in_two_tenants_do_not_mix() {
    let app = TestApp::new().await;
    let (acme, other) = (app.client("For acme").await, app.client("For other").await);
    let (mut mel, mut olga) = (app.browser(), app.browser());

    let mel_page = mel.follow(&acme.authorize_path(DEMO)).await.expect(200);
    let olga_page = olga.follow(&other.authorize_path("/t/other/demo/mcp")).await.expect(200);
    let olga_back = olga.submit_sign_in(&olga_page, "olga").await.expect(303).location().to_owned();
    let mel_back = mel.submit_sign_in(&mel_page, "mel").await.expect(303).location().to_owned();
    let mel_page = mel.follow(&mel_back).await.expect(200);
    let olga_page = olga.follow(&olga_back).await.expect(200);
    assert!(mel_page.body.contains("mel@example.com") && !mel_page.body.contains("olga"), "{}", mel_page.body);
    assert!(olga_page.body.contains("olga@example.com") && !olga_page.body.contains("mel@"), "{}", olga_page.body);

    // One's transaction is nothing in the other's browser.
    let stolen = olga.get(&mel_back).await;
    assert!(stolen.status.is_client_error(), "{stolen:?}");
    let code = |location: &str| {
        let url = url::Url::parse(location).expect("a URL");
        url.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned()
    };
    let olga_code = code(olga.decide(&olga_page, "allow").await.expect(303).location());
    let mel_code = code(mel.decide(&mel_page, "allow").await.expect(303).location());
    let mel_tokens = Tokens::of(&acme.redeem(&mel_code, DEMO).await.expect(200));
    let olga_tokens = Tokens::of(&other.redeem(&olga_code, "/t/other/demo/mcp").await.expect(200));
    app.call(DEMO, Some(&mel_tokens.access), "tools/list", json!({})).await.expect(200);
    app.call("/t/other/demo/mcp", Some(&olga_tokens.access), "tools/list", json!({})).await.expect(200);
    app.call("/t/other/demo/mcp", Some(&mel_tokens.access), "tools/list", json!({})).await.expect(401);
    app.call(DEMO, Some(&olga_tokens.access), "tools/list", json!({})).await.expect(401);
}

#[tokio::test]
async fn who_loses_membership_is_refused_at_once() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let tokens = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    let viewer = World::TWO_TENANTS.0.replace("\"mel\", role = \"member\"", "\"mel\", role = \"viewer\"");
    app.apply(&viewer, false).await;
    let answer = app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(403);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(!challenge.contains("insufficient_scope"), "{challenge}");
}

#[tokio::test]
async fn hosts_that_are_not_configured_are_misdirected() {
    let app = TestApp::new().await;
    for path in ["/", "/login", DEMO, "/.well-known/oauth-authorization-server"] {
        let answer = app.send(Method::GET, path, &[("host", "evil.test")], "").await.expect(421);
        assert!(answer.body.contains("Portico is at https://portico.test"), "{}", answer.body);
    }
    app.send(Method::GET, "/healthz", &[("host", "10.0.0.7:8080")], "").await.expect(200);
    app.send(Method::GET, "/login", &[("host", "PORTICO.test:443")], "").await.expect(200);
}

/// Postgres has no NUL in its texts and refuses to look for one; nobody is told to try again because of that.
#[tokio::test]
async fn what_no_store_can_hold_is_nobodys() {
    let app = TestApp::new().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "grant_type=refresh_token&refresh_token=a%00b&client_id=c%00d";
    let answer = app.send(Method::POST, "/oauth/token", &form, body).await.expect(401);
    assert_eq!(answer.json()["error"], "invalid_client");
    let path = "/oauth/authorize?response_type=code&client_id=c%00d&redirect_uri=https%3A%2F%2Fa.example%2F";
    app.send(Method::GET, path, &[], "").await.expect(400);
    app.send(Method::GET, "/login/a%00b", &[], "").await.expect(404);
    app.send(Method::GET, "/t/a%00b", &[], "").await.expect(303);
    let mut browser = app.browser();
    let page = browser.get("/login").await.expect(200);
    let fields = [("csrf", &*page.field("csrf")), ("email", "a\0b@example.com"), ("password", "c\0d")];
    let answer = browser.post("/login", &fields).await;
    assert!(answer.status.is_client_error(), "{}: {}", answer.status, answer.body);
    let mut owen = app.signed_in("owen").await;
    let members = owen.get("/t/acme/members?after=a%00b").await;
    assert!(!members.status.is_server_error(), "{}", members.status);
    owen.get("/t/acme/a%00b").await.expect(404);
}
