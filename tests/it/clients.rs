//! What a tenant decides about the clients that ask for its servers, as its people and its clients see it.

use http::Method;
use serde_json::json;
use tests::{Browser, Client, ORIGIN, REDIRECT, TestApp, Tokens, VERIFIER};

const DEMO: &str = "/t/acme/demo/mcp";
const OTHER: &str = "/t/other/demo/mcp";
const SETTINGS: &str = "/t/acme/settings";

/// Sends a form of the settings page.
async fn send(browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> tests::Answer {
    let csrf = browser.get(SETTINGS).await.expect(200).field("csrf");
    let mut all = vec![("csrf", &*csrf)];
    all.extend_from_slice(fields);
    browser.post(SETTINGS, &all).await
}

#[tokio::test]
async fn policies_are_for_what_is_allowed_from_now_on() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let before = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    let mut owen = app.signed_in("owen").await;
    let set = [("do", "policies"), ("cimd", "open"), ("cimd_allow", ""), ("dcr", "off"), ("dcr_allow", "")];
    send(&mut owen, &set).await.expect(303);
    // Nobody begins anything, signed in or not; another tenant is not affected.
    app.browser().get(&client.authorize_path(DEMO)).await.expect(403);
    app.signed_in("mel").await.get(&client.authorize_path(DEMO)).await.expect(403);
    client.tokens(&mut app.signed_in("olga").await, OTHER).await;
    // Who has something keeps it.
    app.call(DEMO, Some(&before.access), "tools/list", json!({})).await.expect(200);
    client.refresh(&before.refresh).await.expect(200);

    // A request that names no resource meets the policy when the person has picked a server.
    let resource = url::form_urlencoded::byte_serialize(format!("{ORIGIN}{DEMO}").as_bytes()).collect::<String>();
    let unnamed = client.authorize_path(DEMO).replace(&format!("&resource={resource}"), "");
    let mut mel = app.signed_in("mel").await;
    let page = mel.follow(&unnamed).await.expect(200);
    let fields = ["csrf", "txn", "account"].map(|name| (name, page.field(name)));
    let mut form: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
    let picked = format!("{ORIGIN}{DEMO}");
    form.extend([("decision", "allow"), ("resource", &*picked)]);
    let refused = mel.post("/oauth/consent", &form).await;
    assert!(refused.status.is_client_error() && refused.header("location").is_none(), "{refused:?}");

    // On the list stands where answers go.
    let listed =
        |list| [("do", "policies"), ("cimd", "open"), ("cimd_allow", ""), ("dcr", "allowlist"), ("dcr_allow", list)];
    send(&mut owen, &listed("elsewhere.example localhost")).await.expect(303);
    app.browser().get(&client.authorize_path(DEMO)).await.expect(403);
    send(&mut owen, &listed("Client.Example")).await.expect(303);
    client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    let again = send(&mut owen, &listed("https://client.example")).await.expect(422);
    assert!(again.body.contains("is no host like"), "{}", again.body);
}

#[tokio::test]
async fn a_blocked_client_is_refused_at_once_and_comes_back_with_nothing() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let here = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    let there = client.tokens(&mut app.signed_in("olga").await, OTHER).await;
    let code = client.code(&mut app.signed_in("mel").await, DEMO).await;
    let mut owen = app.signed_in("owen").await;
    let page = owen.get(SETTINGS).await.expect(200);
    assert!(page.body.contains(&client.id) && page.body.contains("Assistant"), "{}", page.body);
    send(&mut owen, &[("do", "block"), ("client", &client.id)]).await.expect(303);

    app.call(DEMO, Some(&here.access), "tools/list", json!({})).await.expect(401);
    assert_eq!(client.refresh(&here.refresh).await.expect(400).json()["error"], "invalid_grant");
    client.redeem(&code, DEMO).await.expect(400);
    app.signed_in("mel").await.get(&client.authorize_path(DEMO)).await.expect(403);
    // Of the other tenant nothing has changed, and its owner has no say here.
    app.call(OTHER, Some(&there.access), "tools/list", json!({})).await.expect(200);
    client.refresh(&there.refresh).await.expect(200);
    app.signed_in("olga").await.get(SETTINGS).await.expect(404);

    send(&mut owen, &[("do", "unblock"), ("client", &client.id)]).await.expect(303);
    app.call(DEMO, Some(&here.access), "tools/list", json!({})).await.expect(401);
    client.tokens(&mut app.signed_in("mel").await, DEMO).await;
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).expect("an end").0
}

#[tokio::test]
async fn a_client_of_the_tenants_own_has_a_secret_that_is_shown_once() {
    let app = TestApp::new().await;
    let mut owen = app.signed_in("owen").await;
    let form = [("do", "enter"), ("name", "Reports"), ("redirects", REDIRECT), ("confidential", "yes")];
    let page = send(&mut owen, &form).await.expect(200);
    let id = between(&page.body, "Its id is <code class=\"wrap\">", "<").to_owned();
    let secret = between(&page.body, "Its secret is <code class=\"wrap\">", "<").to_owned();
    assert!(id.starts_with("c_") && secret.starts_with("cs_"));
    assert!(!owen.get(SETTINGS).await.expect(200).body.contains(&secret));

    let client = Client::known(&app, &id);
    let redeem = async |code: &str, secret: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", &*id),
            ("client_secret", secret),
            ("code_verifier", VERIFIER),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        app.send(Method::POST, "/oauth/token", &headers, &body).await
    };
    let code = client.code(&mut app.signed_in("mel").await, DEMO).await;
    client.redeem(&code, DEMO).await.expect(401);
    redeem(&code, "cs_wrong").await.expect(401);
    let tokens = Tokens::of(&redeem(&code, &secret).await.expect(200));
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
    // It is for this tenant's servers only.
    app.signed_in("olga").await.get(&client.authorize_path(OTHER)).await.expect(403);

    let page = send(&mut owen, &[("do", "renew"), ("client", &id)]).await.expect(200);
    let renewed = between(&page.body, "Its secret is <code class=\"wrap\">", "<").to_owned();
    let code = client.code(&mut app.signed_in("mel").await, DEMO).await;
    redeem(&code, &secret).await.expect(401);
    redeem(&code, &renewed).await.expect(200);

    send(&mut owen, &[("do", "delete"), ("client", &id)]).await.expect(303);
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(401);
    app.browser().get(&client.authorize_path(DEMO)).await.expect(400);
    send(&mut owen, &[("do", "renew"), ("client", &id)]).await.expect(404);
}

#[tokio::test]
async fn only_those_who_manage_the_tenant_enter_and_block() {
    let app = TestApp::new().await;
    for (name, status) in [("dora", 403), ("mel", 403), ("vic", 403), ("sam", 404), ("olga", 404), ("otto", 404)] {
        let mut browser = app.signed_in(name).await;
        browser.get(SETTINGS).await.expect(status);
        let csrf = browser.get("/").await.expect(200).field("csrf");
        for act in ["policies", "enter", "block", "unblock", "renew", "delete"] {
            let fields = [("csrf", &*csrf), ("do", act), ("client", "c_1"), ("dcr", "off"), ("cimd", "off")];
            let answer = browser.post(SETTINGS, &fields).await;
            assert!(answer.status.is_client_error(), "{name} {act}: {}", answer.status);
        }
    }
    let client = app.client("Assistant").await;
    client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    // What another tenant entered is not here.
    let mut owen = app.signed_in("owen").await;
    for fields in [
        vec![("do", "enter"), ("name", ""), ("redirects", REDIRECT)],
        vec![("do", "enter"), ("name", "Reports"), ("redirects", "javascript:alert(1)")],
        vec![("do", "enter"), ("name", "Reports"), ("redirects", "")],
        vec![("do", "enter"), ("name", "Reports"), ("redirects", "http://localhost/x"), ("confidential", "yes")],
    ] {
        send(&mut owen, &fields).await.expect(422);
    }
    send(&mut owen, &[("do", "delete"), ("client", &client.id)]).await.expect(404);
}
