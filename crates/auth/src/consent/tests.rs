use std::time::Duration;

use crate::{
    AuthConfig,
    trial::{ECHO, REDIRECT, Trial, Visitor, authorize_path, redemption},
};

#[tokio::test]
async fn with_local_accounts_sign_in_comes_first_and_then_one_page() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    let seen = browser.get(&authorize_path(&client, &[])).await;
    assert_eq!(seen.status, 303);
    let login = seen.location().unwrap().to_owned();
    assert!(login.starts_with("/login?return=%2Foauth%2Fconsent"), "{login}");
    let seen = browser.sign_in_at(&login, "alice").await;
    let page = browser.get(seen.location().unwrap()).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for shown in
        ["Test Client", "unverified", "client.example", "The Echo", "Acme", "alice", "90 days", "Call its tools"]
    {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let seen = browser.decide(&page, "allow").await;
    assert_eq!(seen.status, 303);
    assert!(seen.location().unwrap().starts_with("https://client.example/cb?code="));
    let params = seen.location_params();
    assert_eq!((params["state"].as_str(), params["iss"].as_str()), ("the state", "https://portico.example"));
    assert_eq!(trial.redeem(&client, &params["code"]).await.status, 200);
    assert_eq!(browser.decide(&page, "allow").await.status, 400, "one answer to one question");
}

#[tokio::test]
async fn nothing_redirects_to_a_client_before_a_person_decided() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    for signed_in in [false, true] {
        let mut browser = Visitor::new(&trial);
        if signed_in {
            browser.sign_in("alice").await;
        }
        for (changes, error) in [
            (&[("response_type", "token")][..], "unsupported_response_type"),
            (&[("response_type", "")], "invalid_request"),
            (&[("response_mode", "fragment")], "invalid_request"),
            (&[("code_challenge", "")], "invalid_request"),
            (&[("code_challenge", "abc")], "invalid_request"),
            (&[("code_challenge_method", "plain")], "invalid_request"),
            (&[("code_challenge_method", "")], "invalid_request"),
            (&[("scope", "openid admin")], "invalid_scope"),
            (&[("scope", "offline_access")], "invalid_scope"),
            (&[("resource", "https://evil.example/t/acme/echo/mcp")], "invalid_target"),
            (&[("resource", "https://portico.example/t/acme")], "invalid_target"),
            (&[("request", "x")], "request_not_supported"),
            (&[("request_uri", "urn:x")], "request_uri_not_supported"),
            (&[("prompt", "none")], if signed_in { "consent_required" } else { "login_required" }),
            (&[("prompt", "none login")], "invalid_request"),
        ] {
            let seen = browser.get(&authorize_path(&client, changes)).await;
            assert_eq!((seen.status, seen.location()), (400, None), "{changes:?}");
            assert!(seen.text.contains(error), "{error} in {}", seen.text);
            let back = format!("{REDIRECT}?error={error}");
            assert!(seen.text.contains(&back) && seen.text.contains("state=the%20state"), "{}", seen.text);
        }
        for changes in [
            [("client_id", "c_unknown")],
            [("client_id", "")],
            [("redirect_uri", "https://client.example/cb/../cb")],
            [("redirect_uri", "https://evil.example/cb")],
            [("redirect_uri", "javascript:alert(1)")],
        ] {
            let seen = browser.get(&authorize_path(&client, &changes)).await;
            assert_eq!((seen.status, seen.location()), (400, None), "{changes:?}");
            assert!(!seen.text.contains("href=\"https://") && !seen.text.contains("evil"), "{}", seen.text);
        }
        for name in ["client_id", "state", "resource", "unknown"] {
            let doubled = format!("{}&{name}=a&{name}=a", authorize_path(&client, &[]));
            assert_eq!(browser.get(&doubled).await.status, 400, "{name} twice");
        }
        assert_ne!(browser.get(&authorize_path(&client, &[("unknown", "x")])).await.status, 400);
    }
}

#[tokio::test]
async fn a_decision_needs_this_page_in_this_browser() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    browser.sign_in("alice").await;
    let page = browser.get(&authorize_path(&client, &[])).await;
    let other = browser.get(&authorize_path(&client, &[("scope", "mcp:read")])).await;
    for change in [
        ("csrf", "x".to_owned()),
        ("csrf", other.field("csrf")),
        ("txn", other.field("txn")),
        ("txn", "unknown".to_owned()),
        ("account", String::new()),
    ] {
        let seen = browser.decide_with(&page, "allow", &[(change.0, &change.1)]).await;
        assert_eq!((seen.status, seen.location()), (400, None), "{change:?}");
    }
    for origin in [None, Some("null"), Some("https://evil.example")] {
        browser.origin = origin.map(ToOwned::to_owned);
        assert_eq!(browser.decide(&page, "allow").await.status, 400, "{origin:?}");
    }
    browser.origin = Some("https://portico.example".to_owned());

    let mut thief = Visitor::new(&trial);
    thief.sign_in("bob").await;
    thief.get(&authorize_path(&client, &[])).await;
    assert_eq!(thief.decide(&page, "allow").await.status, 400, "another browser, with a transaction of its own");
    assert_eq!(thief.get(&format!("/oauth/consent?txn={}", page.field("txn"))).await.status, 400);

    assert_eq!(browser.decide(&page, "maybe").await.status, 400);
    assert!(
        browser.decide(&page, "allow").await.location().unwrap().starts_with(REDIRECT),
        "all of that spoilt nothing"
    );
    assert!(browser.decide(&other, "allow").await.location().unwrap().starts_with(REDIRECT), "nor does another tab");
}

#[tokio::test]
async fn denying_tells_the_client() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    browser.sign_in("alice").await;
    let page = browser.get(&authorize_path(&client, &[])).await;
    let params = browser.decide(&page, "deny").await.location_params();
    assert_eq!(
        (params["error"].as_str(), params["state"].as_str(), params["iss"].as_str()),
        ("access_denied", "the state", "https://portico.example")
    );
    assert!(!params.contains_key("code"));
    assert_eq!(browser.decide(&page, "allow").await.status, 400);
}

#[tokio::test]
async fn a_stranger_and_an_absent_server_look_the_same() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let mut texts = Vec::new();
    for (who, resource) in [
        ("bob", "https://portico.example/t/acme/echo/mcp"),
        ("bob", "https://portico.example/t/acme/nothing/mcp"),
        ("bob", "https://portico.example/t/nobody/nothing/mcp"),
        ("carol", "https://portico.example/t/acme/echo/mcp"),
    ] {
        let mut browser = Visitor::new(&trial);
        browser.sign_in(who).await;
        let page = browser.get(&authorize_path(&client, &[("resource", resource)])).await;
        assert_eq!(page.status, 404);
        assert!(!page.text.contains("Go on only if"), "there is nothing to go on with: {}", page.text);
        let seen = browser.decide(&page, "allow").await;
        assert_eq!((seen.status, seen.location()), (404, None), "allowing changes nothing");
        if who == "bob" {
            texts.push(page.text.replace(&page.field("csrf"), "").replace(&page.field("txn"), ""));
        }
        assert_eq!(browser.decide(&page, "deny").await.location_params()["error"], "access_denied");
    }
    assert_eq!((&texts[0], &texts[0]), (&texts[1], &texts[2]));
}

#[tokio::test]
async fn without_a_resource_the_person_picks() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    browser.sign_in("alice").await;
    let page = browser.get(&authorize_path(&client, &[("resource", "")])).await;
    assert!(page.text.contains(ECHO) && page.text.contains("/t/acme/echo2/mcp"), "{}", page.text);
    assert!(!page.text.contains("/t/bravo/"), "{}", page.text);
    assert_eq!(browser.decide(&page, "allow").await.status, 400, "nothing was picked");
    let foreign = [("resource", "https://portico.example/t/bravo/echo/mcp")];
    assert_eq!(browser.decide_with(&page, "allow", &foreign).await.location(), None);
    let params = browser.decide_with(&page, "allow", &[("resource", ECHO)]).await.location_params();
    let tokens = trial.redeem(&client, &params["code"]).await.json();
    assert_eq!(trial.status(tokens["access_token"].as_str().unwrap(), "/t/acme/echo/mcp"), 200);
}

#[tokio::test]
async fn with_a_provider_consent_comes_first_and_a_confirmation_last() {
    let trial = Trial::connected().await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    let page = browser.get(&authorize_path(&client, &[])).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("the account that you choose next") && page.text.contains("e-mail"), "{}", page.text);
    assert!(!page.text.contains("The Echo") && !page.text.contains("Acme"), "slugs only: {}", page.text);
    let txn = page.field("txn");
    let arrive = format!("/test/arrive/alice/{txn}");
    assert_eq!(browser.get(&arrive).await.location(), None, "not before consent");

    let seen = browser.decide_with(&page, "allow", &[("connection", "nothing")]).await;
    assert_eq!(seen.status, 400);
    let seen = browser.decide_with(&page, "allow", &[("connection", "hub")]).await;
    assert_eq!((seen.status, seen.location()), (303, Some(format!("/oauth/continue/{txn}").as_str())));
    let interstitial = browser.get(&format!("/oauth/continue/{txn}")).await;
    assert_eq!(interstitial.status, 200);
    assert!(interstitial.text.contains("http-equiv=\"refresh\""), "{}", interstitial.text);

    let mut thief = Visitor::new(&trial);
    assert_eq!(thief.get(&format!("/oauth/continue/{txn}")).await.status, 400);
    assert_eq!(thief.get(&arrive).await.status, 400, "the provider's answer in another browser");

    let seen = browser.get(&arrive).await;
    assert_eq!(seen.location(), Some(format!("/oauth/consent?txn={txn}").as_str()), "{}", seen.text);
    assert_eq!(browser.get(&arrive).await.status, 400, "once");
    let confirm = browser.get(&format!("/oauth/consent?txn={txn}")).await;
    assert!(confirm.text.contains("Confirm") && confirm.text.contains("The Echo") && confirm.text.contains("alice"));
    let old = browser.decide_with(&confirm, "allow", &[("csrf", &page.field("csrf")), ("account", "")]).await;
    assert_eq!(old.status, 400, "the first page's token is for the first page");
    let params = browser.decide(&confirm, "allow").await.location_params();
    assert_eq!(trial.redeem(&client, &params["code"]).await.status, 200);

    let page = browser.get(&authorize_path(&client, &[])).await;
    assert!(page.text.contains("alice"), "with a session there is one page");
}

#[tokio::test]
async fn a_session_never_travels_to_our_own_host() {
    let trial = Trial::at("http://127.0.0.1:8080").await;
    for (redirect, ends) in
        [("http://127.0.0.1:7777/cb", true), ("http://localhost:7777/cb", false), ("https://client.example/cb", false)]
    {
        for decision in ["allow", "deny"] {
            let client = trial.client(redirect).await;
            let mut browser = Visitor::new(&trial);
            browser.sign_in("alice").await;
            let before = browser.cookies.clone();
            let changes = [("redirect_uri", redirect), ("resource", "http://127.0.0.1:8080/t/acme/echo/mcp")];
            let page = browser.get(&authorize_path(&client, &changes)).await;
            assert_eq!(page.text.contains("on this computer"), redirect.starts_with("http://"), "{redirect}");
            let seen = browser.decide(&page, decision).await;
            assert!(seen.location().unwrap().starts_with(redirect), "{}", seen.text);
            assert_eq!(browser.cookies.contains_key("portico"), !ends, "{redirect} {decision}");
            browser.cookies = before;
            let still = browser.get("/login").await.status == 303;
            assert_eq!(still, !ends, "the record is gone too: {redirect} {decision}");
        }
    }
}

#[tokio::test]
async fn a_session_never_travels_to_another_port_of_ours() {
    let trial = Trial::new().await;
    for redirect in ["https://portico.example:8443/cb", "https://Portico.Example:8443/cb"] {
        let client = trial.client(redirect).await;
        let mut browser = Visitor::new(&trial);
        browser.sign_in("alice").await;
        let page = browser.get(&authorize_path(&client, &[("redirect_uri", redirect)])).await;
        let seen = browser.decide(&page, "allow").await;
        assert!(seen.location().unwrap().starts_with(redirect), "{}", seen.text);
        assert!(!browser.cookies.contains_key("__Host-portico"), "{redirect}: {:?}", browser.cookies);
    }
}

#[tokio::test]
async fn answers_do_not_go_to_ourselves() {
    let trial = Trial::new().await;
    for redirect in ["https://portico.example/oauth/callback/hub", "https://PORTICO.example:443/"] {
        let seen = trial.register(serde_json::json!({ "redirect_uris": [redirect] })).await;
        assert_eq!((seen.status, seen.error().as_str()), (400, "invalid_redirect_uri"), "{redirect}");
    }
    // The port of an app on this computer is chosen later.
    let trial = Trial::at("http://127.0.0.1:8080").await;
    let client = trial.client("http://127.0.0.1:1/login").await;
    let mut browser = Visitor::new(&trial);
    let redirect = ("redirect_uri", "http://127.0.0.1:8080/login");
    let resource = ("resource", "http://127.0.0.1:8080/t/acme/echo/mcp");
    for changes in [&[redirect, resource][..], &[redirect, resource, ("response_type", "token")]] {
        let seen = browser.get(&authorize_path(&client, changes)).await;
        assert_eq!((seen.status, seen.location()), (400, None), "{}", seen.text);
        assert!(!seen.text.contains("href=\"http"), "{}", seen.text);
    }
}

#[tokio::test]
async fn what_anybody_may_begin_is_small_and_counted() {
    let limit = http_kit::Limit { burst: 3, every: Duration::from_secs(10) };
    let config = AuthConfig { authorizations: limit, ..AuthConfig::default() };
    let state = format!("{}{}", crate::trial::CONNECTION, crate::trial::STATE);
    let trial = Trial::with(&state, crate::trial::ORIGIN, config).await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    let long = "s".repeat(4097);
    let seen = browser.get(&authorize_path(&client, &[("state", &long)])).await;
    assert!(seen.status == 400 && seen.text.contains("invalid_request"), "{}", seen.text);
    let page = browser.get(&authorize_path(&client, &[("state", &long[1..])])).await;
    assert_eq!(page.status, 200, "refused requests are kept nowhere and cost nothing");
    for _ in 0..2 {
        assert_eq!(browser.get(&authorize_path(&client, &[])).await.status, 200);
    }
    let seen = Visitor::new(&trial).get(&authorize_path(&client, &[])).await;
    assert_eq!((seen.status, seen.headers["retry-after"].to_str().unwrap()), (429, "10"));
    trial.later(Duration::from_secs(10));
    assert_eq!(browser.get(&authorize_path(&client, &[])).await.status, 200);

    // One request may leave for its provider again and again, but not for ever.
    let seen = browser.decide_with(&page, "allow", &[("connection", "hub")]).await;
    let onward = seen.location().unwrap().to_owned();
    let mut refused = 0;
    for _ in 0..61 {
        refused += usize::from(browser.get(&onward).await.status == 429);
    }
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn prompt_login_wants_a_new_sign_in() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    browser.sign_in("alice").await;
    trial.later(Duration::from_secs(5));
    let seen = browser.get(&authorize_path(&client, &[("prompt", "login consent")])).await;
    assert_eq!(seen.status, 303);
    let login = seen.location().unwrap().to_owned();
    let seen = browser.sign_in_at(&login, "alice").await;
    let page = browser.get(seen.location().unwrap()).await;
    assert_eq!(page.status, 200);
    assert!(browser.decide(&page, "allow").await.location().unwrap().starts_with(REDIRECT));
}

#[tokio::test]
async fn questions_clients_and_pages_have_their_limits() {
    let mut config = AuthConfig::default();
    config.lifetimes.transaction = Duration::from_secs(20);
    config.lifetimes.access = Duration::from_secs(7);
    let trial = Trial::with(crate::trial::STATE, crate::trial::ORIGIN, config).await;
    let client = trial.client(REDIRECT).await;
    let mut browser = Visitor::new(&trial);
    browser.sign_in("alice").await;
    let page = browser.get(&authorize_path(&client, &[])).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self' https:;"), "{policy}");
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["cache-control"], "no-store");
    trial.later(Duration::from_secs(21));
    assert_eq!(browser.decide(&page, "allow").await.status, 400, "the question has expired");
    let page = browser.get(&authorize_path(&client, &[])).await;
    let params = browser.decide(&page, "allow").await.location_params();
    let tokens = trial.form("/oauth/token", &redemption(&client, &params["code"])).await.json();
    assert_eq!(tokens["expires_in"], 7);

    let unused = trial.client(REDIRECT).await;
    trial.later(Duration::from_hours(25));
    assert_eq!(browser.get(&authorize_path(&unused, &[])).await.status, 400, "unused, it is gone after a day");
    assert_ne!(browser.get(&authorize_path(&client, &[])).await.status, 400, "used, it stays");
}

#[tokio::test]
async fn what_a_client_calls_itself_is_text() {
    let trial = Trial::new().await;
    let name = "\"><svg onload=alert(1)> & <b>Bank</b>";
    let seen = trial.register(serde_json::json!({ "client_name": name, "redirect_uris": [REDIRECT] })).await;
    let client = seen.json()["client_id"].as_str().unwrap().to_owned();
    let mut browser = Visitor::new(&trial);
    browser.sign_in("alice").await;
    let page = browser.get(&authorize_path(&client, &[("state", "\"><svg>")])).await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("<svg onload") && !page.text.contains("<b>Bank"), "{}", page.text);
}
