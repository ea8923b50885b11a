//! The authorization endpoint and what stands around it: forms, ages, hints, preflights, challenges.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::{TestApp, code_in};

const DEMO: &str = "/t/acme/demo/mcp";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn a_request_may_be_a_form_of_any_site() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let path = client.authorize_path(DEMO);
    let query = path.split_once('?').expect("a query").1;
    for origin in [None, Some("null"), Some("https://client.example")] {
        let mut headers = vec![FORM];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = mel.send(Method::POST, "/oauth/authorize", &headers, query).await.expect(303);
        assert!(answer.header("access-control-allow-origin").is_none());
        let page = mel.follow(answer.location()).await.expect(200);
        assert!(code_in(mel.decide(&page, "allow").await.expect(303).location()).is_some());
    }
    // What a header cannot hold does not get into one, and what is twice stays twice.
    let answer = mel.send(Method::POST, "/oauth/authorize", &[FORM], "client_id=a\r\nx: y&client_id=b%0d%0a").await;
    assert_eq!(answer.expect(303).location(), "/oauth/authorize?client_id=a%0D%0Ax%3A+y&client_id=b%0D%0A");
    mel.send(Method::POST, "/oauth/authorize", &[("content-type", "application/json")], "{}").await.expect(400);
    mel.send(Method::POST, "/oauth/authorize", &[FORM], &"a=b&".repeat(4096)).await.expect(400);
}

#[tokio::test]
async fn a_session_may_be_too_old_for_a_request() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    app.clock.advance(Duration::from_secs(100));
    let path = client.authorize_path(DEMO);
    let fresh = format!("{path}&max_age=100");
    assert_eq!(mel.get(&fresh).await.status, 200);
    let stale = format!("{path}&max_age=99");
    let login = mel.get(&stale).await.expect(303).location().to_owned();
    assert!(login.starts_with("/login") && login.contains("again=1"), "{login}");
    let answer = mel.get(&format!("{stale}&prompt=none")).await.expect(400);
    assert!(answer.body.contains("login_required"), "{}", answer.body);
    // Who signs in again goes on, and the page is for whoever that is.
    let page = mel.get(&login).await.expect(200);
    let back = mel.submit_sign_in(&page, "dora").await.expect(303).location().to_owned();
    let page = mel.get(&back).await.expect(200);
    assert!(page.body.contains("dora@example.com") && !page.body.contains("mel@"), "{}", page.body);
    for bad in ["-1", "x", "1.5", "99999999999"] {
        let answer = mel.get(&format!("{path}&max_age={bad}")).await.expect(400);
        assert!(answer.body.contains("invalid_request"), "{bad}");
    }
}

#[tokio::test]
async fn a_hint_fills_in_the_form_and_no_more() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut nobody = app.browser();
    let path = format!("{}&login_hint=mel%40example.com%22%3E", client.authorize_path(DEMO));
    let page = nobody.follow(&path).await.expect(200);
    assert!(page.body.contains("value=\"mel@example.com&#34;&#62;\""), "{}", page.body);
    let back = nobody.submit_sign_in(&page, "dora").await.expect(303).location().to_owned();
    assert!(nobody.follow(&back).await.expect(200).body.contains("dora@example.com"));
    // One that cannot be an address is left out.
    for bad in ["a%0db", &"a".repeat(300)] {
        let page = app.browser().follow(&format!("{}&login_hint={bad}", client.authorize_path(DEMO))).await.expect(200);
        assert!(page.body.contains("name=\"email\"") && !page.body.contains(&"a".repeat(300)), "{bad}");
        assert!(!page.body.contains("a\rb"), "{bad}");
    }
}

#[tokio::test]
async fn programs_are_answered_from_pages_of_any_origin_and_people_are_not() {
    let app = TestApp::new().await;
    let preflight = [("origin", "https://inspector.example"), ("access-control-request-method", "POST")];
    let mut programs: Vec<String> = vec![
        "/.well-known/oauth-authorization-server".into(),
        "/.well-known/openid-configuration".into(),
        "/.well-known/oauth-protected-resource/t/acme/demo/mcp".into(),
        "/.well-known/oauth-authorization-server/t/acme".into(),
    ];
    let document = app.send(Method::GET, "/.well-known/oauth-authorization-server", &[], "").await.json();
    for (name, value) in document.as_object().expect("an object") {
        if (name.ends_with("_endpoint") || name == "jwks_uri") && name != "authorization_endpoint" {
            let url = value.as_str().expect("a URL");
            programs.push(url.strip_prefix("https://portico.test").expect("ours").to_owned());
        }
    }
    assert!(programs.len() > 6, "{programs:?}");
    for path in &programs {
        let answer = app.send(Method::OPTIONS, path, &preflight, "").await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
        let allowed = answer.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        for name in ["authorization", "content-type", "mcp-protocol-version"] {
            assert!(allowed.contains(name), "{path}: {allowed}");
        }
        for method in [Method::GET, Method::POST] {
            let answer = app.send(method, path, &preflight[..1], "").await;
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
            let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
            assert!(exposed.contains("WWW-Authenticate"), "{path}: {exposed}");
            assert!(answer.header("set-cookie").is_none(), "{path}");
        }
    }
    for path in
        ["/oauth/authorize", "/oauth/consent", "/oauth/continue/x", "/oauth/callback/github", "/login", "/grants"]
    {
        for method in [Method::OPTIONS, Method::GET, Method::POST] {
            let answer = app.send(method.clone(), path, &preflight, "").await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_challenge_says_what_to_ask_for() {
    let app = TestApp::new().await;
    let answer = app.call(DEMO, None, "tools/list", json!({})).await.expect(401);
    let metadata = "https://portico.test/.well-known/oauth-protected-resource/t/acme/demo/mcp";
    assert_eq!(
        answer.header("www-authenticate"),
        Some(&*format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp:read mcp:tools\"")),
        "no error without a token (RFC 6750 §3.1)"
    );
    assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 1);
    let answer = app.call(DEMO, Some("nonsense"), "tools/list", json!({})).await.expect(401);
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains(metadata), "{challenge}");

    // A token for reading only. The challenge has every scope that calling needs: the one that also reads.
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let narrow = client.authorize_path(DEMO).replace("mcp%3Aread+mcp%3Atools+offline_access", "mcp%3Aread");
    let page = mel.follow(&narrow).await.expect(200);
    let code = code_in(mel.decide(&page, "allow").await.expect(303).location()).expect("a code");
    let token = client.redeem(&code, DEMO).await.expect(200).json()["access_token"].as_str().expect("one").to_owned();
    app.call(DEMO, Some(&token), "tools/list", json!({})).await.expect(200);
    let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
    let answer = app.call(DEMO, Some(&token), "tools/call", params).await.expect(403);
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains(metadata), "{challenge}");
    assert!(challenge.contains("scope=\"mcp:tools\""), "{challenge}");
    let wide = client.authorize_path(DEMO).replace("mcp%3Aread+mcp%3Atools+offline_access", "mcp%3Atools");
    let page = mel.follow(&wide).await.expect(200);
    let code = code_in(mel.decide(&page, "allow").await.expect(303).location()).expect("a code");
    let token = client.redeem(&code, DEMO).await.expect(200).json()["access_token"].as_str().expect("one").to_owned();
    app.call(DEMO, Some(&token), "tools/list", json!({})).await.expect(200);
    let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
    app.call(DEMO, Some(&token), "tools/call", params).await.expect(200);
    for headers in [
        &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
        &[("authorization", "Bearer")],
        &[("authorization", "Basic YTpi")],
    ] {
        let answer = app.send(Method::POST, DEMO, headers, "{}").await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_request", "{headers:?}");
    }
}

#[tokio::test]
async fn resources_are_taken_as_real_clients_write_them() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let own = "resource=https%3A%2F%2Fportico.test%2Ft%2Facme%2Fdemo%2Fmcp";
    let with = |resource: &str| {
        let encoded: String = url::form_urlencoded::byte_serialize(resource.as_bytes()).collect();
        client.authorize_path(DEMO).replace(own, &format!("resource={encoded}"))
    };
    for good in [
        "HTTPS://PORTICO.TEST/t/acme/demo/mcp",
        "https://portico.test:443/t/acme/demo/mcp",
        "https://portico.test/t/acme/demo/mcp?callback_id=1",
    ] {
        mel.follow(&with(good)).await.expect(200);
    }
    for bad in [
        "https://portico.test/t/acme/demo/mcp/",
        "https://portico.test/t/ACME/demo/mcp",
        "https://portico.test/t/acme/demo/mcp#x",
        "https://portico.test:8443/t/acme/demo/mcp",
        "http://portico.test/t/acme/demo/mcp",
        "https://portico.test/t/acme/demo/mcp/..",
        "https://portico.test/t/acme/demo",
        "https://portico.test",
        "urn:x",
    ] {
        let page = mel.get(&with(bad)).await.expect(400);
        assert!(page.body.contains("invalid_target") && page.header("location").is_none(), "{bad}: {}", page.body);
    }
}
