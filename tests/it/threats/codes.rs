//! Authorization codes: 13, 17 to 19, 26.

use http::Method;
use serde_json::json;
use tests::{Answer, Client, ORIGIN, REDIRECT, TestApp, VERIFIER};

const DEMO: &str = "/t/acme/demo/mcp";

/// A token request with these fields instead of the right ones; an empty one is left out.
async fn redeem(app: &TestApp, client: &Client<'_>, code: &str, changes: &[(&str, &str)]) -> Answer {
    let resource = format!("{ORIGIN}{DEMO}");
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", &client.id),
        ("code_verifier", VERIFIER),
        ("resource", &resource),
    ];
    for (name, value) in changes {
        fields.retain(|(own, _)| own != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    app.send(Method::POST, "/oauth/token", &headers, &body).await
}

/// The authorization request with one parameter replaced, or left out.
fn request(client: &Client<'_>, name: &str, value: Option<&str>) -> String {
    let path = client.authorize_path(DEMO);
    let (path, query) = path.split_once('?').expect("a query");
    let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(own, _)| own != name);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept);
    if let Some(value) = value {
        query.append_pair(name, value);
    }
    format!("{path}?{}", query.finish())
}

/// Threat 13: a code is worth nothing without the verifier of its request, and there is no request without a
/// challenge, with another method, or with a challenge that is none.
#[tokio::test]
async fn t13_a_code_needs_its_verifier() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let (short, long, odd) = ("a".repeat(42), "a".repeat(44), format!("{}=", "a".repeat(42)));
    for (name, value) in [
        ("code_challenge", None),
        ("code_challenge", Some("")),
        ("code_challenge", Some(&*short)),
        ("code_challenge", Some(&*long)),
        ("code_challenge", Some(&*odd)),
        ("code_challenge_method", None),
        ("code_challenge_method", Some("plain")),
        ("code_challenge_method", Some("s256")),
    ] {
        let page = mel.get(&request(&client, name, value)).await.expect(400);
        assert!(page.header("location").is_none() && page.body.contains("invalid_request"), "{name} {value:?}");
    }
    let code = client.code(&mut mel, DEMO).await;
    let (wrong, challenge) = (VERIFIER.replace('a', "b"), "a".repeat(43));
    for (verifier, error) in [
        ("", "invalid_request"),
        (&*wrong, "invalid_grant"),
        (&VERIFIER[..42], "invalid_grant"),
        (&*challenge, "invalid_grant"),
    ] {
        let answer = redeem(&app, &client, &code, &[("code_verifier", verifier)]).await.expect(400);
        assert_eq!(answer.json()["error"], error, "{verifier:?}");
    }
    redeem(&app, &client, &code, &[]).await.expect(200);
}

/// Threat 26: without `resource` a person picks one server and the token is for that one; two, or one that is not
/// ours, are refused before anything is used up.
#[tokio::test]
async fn t26_a_token_is_for_one_server_that_was_named_or_picked() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    for foreign in
        ["https://evil.example/t/acme/demo/mcp", "https://portico.test/", "https://portico.test/t/acme/demo", "x"]
    {
        let page = mel.get(&request(&client, "resource", Some(foreign))).await.expect(400);
        assert!(page.body.contains("invalid_target") && page.header("location").is_none(), "{foreign}");
    }
    let twice = format!("{}&resource=https%3A%2F%2Fportico.test%2Ft%2Facme%2Fdemo%2Fmcp", client.authorize_path(DEMO));
    assert!(mel.get(&twice).await.expect(400).header("location").is_none());

    // None: nothing is allowed until a server is picked.
    let page = mel.follow(&request(&client, "resource", None)).await.expect(200);
    mel.decide(&page, "allow").await.expect(400);
    let (csrf, txn, account) = (page.field("csrf"), page.field("txn"), page.field("account"));
    let picked = format!("{ORIGIN}{DEMO}");
    let fields =
        [("csrf", &*csrf), ("txn", &*txn), ("account", &*account), ("decision", "allow"), ("resource", &*picked)];
    let answer = mel.post("/oauth/consent", &fields).await.expect(303);
    let code = tests::code_in(answer.location()).expect("a code");

    for foreign in ["https://evil.example/", "https://portico.test/t/other/demo/mcp", "https://portico.test"] {
        let answer = redeem(&app, &client, &code, &[("resource", foreign)]).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_target", "{foreign}");
    }
    let body = format!(
        "grant_type=authorization_code&client_id={}&code={code}&code_verifier={VERIFIER}&resource={picked}&resource={picked}",
        client.id
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = app.send(Method::POST, "/oauth/token", &headers, &body).await.expect(400);
    assert_eq!(answer.json()["error"], "invalid_target");
    // The code is as good as before; without `resource` the token is for what was picked.
    let tokens = redeem(&app, &client, &code, &[("resource", "")]).await.expect(200).json();
    let access = tokens["access_token"].as_str();
    app.call(DEMO, access, "tools/list", json!({})).await.expect(200);
    app.call("/t/other/demo/mcp", access, "tools/list", json!({})).await.expect(401);
}
