//! From the request to the decision: 1 to 8, 62, 63, 67.

mod memory;
mod pages;

use http::Method;
use tests::{ORIGIN, REDIRECT, TestApp, Tokens, code_in, idp};

use super::hub::{GAIL, Hub, MALLORY, leave};

const DEMO: &str = "/t/acme/demo/mcp";

/// Threat 1: the provider approves by itself, and still nobody is sent to it, or to the client, before somebody
/// decided here, once per request.
#[tokio::test]
async fn t01_nobody_leaves_before_a_decision_in_this_browser() {
    let hub = Hub::new().await;
    let mut gail = hub.app.browser();
    for name in ["First", "Another that nobody asked for"] {
        // At the second, the provider knows gail and has her consent.
        let client = hub.app.client(name).await;
        let page = client.ask(&mut gail, DEMO).await;
        let txn = page.field("txn");
        let ways = ["/oauth/continue/", "/oauth/consent?txn="];
        for path in ways.map(|way| format!("{way}{txn}")).into_iter().chain([client.authorize_path(DEMO)]) {
            let answer = gail.get(&path).await;
            let location = answer.header("location").unwrap_or("/");
            assert!(location.starts_with('/') && !answer.body.contains("http-equiv"), "{path}: {answer:?}");
        }
        let page = gail.follow(&format!("/oauth/consent?txn={txn}")).await.expect(200);
        if name == "First" {
            let arrival = idp::choose(&leave(&mut gail, &page).await, GAIL).await;
            let back = gail.get(&arrival).await.expect(303);
            assert_eq!(back.location(), format!("/oauth/consent?txn={txn}"), "she confirms here");
            let confirm = gail.get(back.location()).await.expect(200);
            assert!(code_in(gail.decide(&confirm, "allow").await.expect(303).location()).is_some());
        } else {
            assert!(page.body.contains("gail") && page.body.contains(name), "{}", page.body);
        }
    }
}

/// Threat 2: whoever consented, only the browser that did can come back from the provider.
#[tokio::test]
async fn t02_consent_and_callback_are_in_one_browser() {
    let hub = Hub::new().await;
    let client = hub.app.client("The attacker's").await;
    let (mut attacker, mut victim) = (hub.app.browser(), hub.app.browser());
    let page = client.ask(&mut attacker, DEMO).await;
    let url = leave(&mut attacker, &page).await;
    let onward = format!("/oauth/continue/{}", page.field("txn"));
    victim.get(&onward).await.expect(400);

    let arrival = idp::choose(&url, GAIL).await;
    let refused = victim.get(&arrival).await.expect(400);
    assert!(refused.header("set-cookie").is_none_or(|cookie| !cookie.contains("portico=")), "{refused:?}");
    assert_eq!(code_in(refused.header("location").unwrap_or_default()), None);
    victim.get("/grants").await.expect(303);
    // Nor with a request of the victim's own under way.
    let own = client.ask(&mut victim, DEMO).await;
    leave(&mut victim, &own).await;
    victim.get(&arrival).await.expect(400);
    // It was not spoilt for the browser that it belongs to.
    assert_eq!(
        attacker.get(&arrival).await.expect(303).location(),
        format!("/oauth/consent?txn={}", page.field("txn"))
    );
}

/// Threat 3: an error is held to the same checks as a success before anything is done with it.
#[tokio::test]
async fn t03_an_error_ends_only_the_request_of_its_own_browser() {
    let hub = Hub::new().await;
    let client = hub.app.client("Assistant").await;
    let (mut gail, mut mallory) = (hub.app.browser(), hub.app.browser());
    let page = client.ask(&mut gail, DEMO).await;
    let url = leave(&mut gail, &page).await;
    let state = url::Url::parse(&url).expect("a URL");
    let state = state.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let error = format!("/oauth/callback/github?error=access_denied&error_uri=https://evil.example/&state={state}");
    for browser in [&mut mallory, &mut hub.app.browser()] {
        let answer = browser.get(&error).await.expect(400);
        assert!(answer.header("location").is_none() && !answer.body.contains("evil.example"), "{answer:?}");
    }
    gail.get(&error.replace("callback/github", "callback/other")).await.expect(400);
    let arrival = idp::choose(&url, GAIL).await;
    let back = gail.get(&arrival).await.expect(303).location().to_owned();
    let confirm = gail.get(&back).await.expect(200);
    let tokens = gail.decide(&confirm, "allow").await.expect(303);
    let code = code_in(tokens.location()).expect("a code");
    client.redeem(&code, DEMO).await.expect(200);

    // In its own browser it reaches the client, with the provider's word for it and nothing else of theirs.
    let page = client.ask(&mut mallory, DEMO).await;
    let arrival = idp::choose(&leave(&mut mallory, &page).await, "").await;
    let told = mallory.get(&arrival).await.expect(303).location().to_owned();
    assert!(told.starts_with(&format!("{REDIRECT}?error=access_denied")) && told.contains("iss="), "{told}");
    assert_eq!(MALLORY, "1002");
}

/// Threat 4: a decision comes from our own page, in the browser that got it.
#[tokio::test]
async fn t04_a_decision_from_elsewhere_is_none() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let page = client.ask(&mut mel, DEMO).await;
    let other = client.ask(&mut mel, DEMO).await;
    let form = |csrf: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("csrf", csrf), ("txn", &page.field("txn")), ("account", &page.field("account"))])
            .extend_pairs([("decision", "allow")])
            .finish()
    };
    let kind = ("content-type", "application/x-www-form-urlencoded");
    for origin in [None, Some("null"), Some("https://evil.example"), Some("https://portico.test.evil.example")] {
        let mut headers = vec![kind];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = mel.send(Method::POST, "/oauth/consent", &headers, &form(&page.field("csrf"))).await.expect(400);
        assert!(answer.header("location").is_none(), "{origin:?}");
    }
    for csrf in [String::new(), "x".repeat(54), other.field("csrf")] {
        let answer = mel.send(Method::POST, "/oauth/consent", &[kind, ("origin", ORIGIN)], &form(&csrf)).await;
        assert!(answer.expect(400).header("location").is_none());
    }
    // The page's own token in a browser that somebody else uses.
    let mut dora = app.signed_in("dora").await;
    client.ask(&mut dora, DEMO).await;
    dora.decide(&page, "allow").await.expect(400);
    assert!(code_in(mel.decide(&page, "allow").await.expect(303).location()).is_some(), "none of that spoilt it");
}

/// Threat 5: what is decided is what was shown, whatever a form says.
#[tokio::test]
async fn t05_a_form_changes_nothing_of_what_was_shown() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let narrow = client.authorize_path(DEMO).replace("mcp%3Aread+mcp%3Atools+offline_access", "mcp%3Aread");
    let (page, wide) = (mel.follow(&narrow).await.expect(200), client.ask(&mut mel, DEMO).await);
    let (csrf, txn, account) = (page.field("csrf"), page.field("txn"), page.field("account"));
    let base = [("csrf", &*csrf), ("txn", &*txn), ("account", &*account), ("decision", "allow")];
    for (name, value) in [
        ("txn", wide.field("txn")),
        ("csrf", wide.field("csrf")),
        ("account", "usr_01a1f95e97b17e4981a14850cfd7f7a4".into()),
    ] {
        let changed = base.map(|(own, old)| (own, if own == name { &*value } else { old }));
        mel.post("/oauth/consent", &changed).await.expect(400);
    }
    // Twice the same field is not one or the other.
    mel.post("/oauth/consent", &[&base[..], &[("decision", "deny")]].concat()).await.expect(400);
    // What a page might say in other systems has no meaning here.
    let more = [
        ("scope", "mcp:read mcp:tools"),
        ("redirect_uri", "https://evil.example/"),
        ("resource", "https://portico.test/t/other/demo/mcp"),
        ("client_id", "c_other"),
    ];
    let answer = mel.post("/oauth/consent", &[&base[..], &more].concat()).await.expect(303);
    let code = code_in(answer.location()).expect("at the address that was shown");
    let tokens = client.redeem(&code, DEMO).await.expect(200).json();
    assert_eq!(tokens["scope"], "mcp:read");
    app.call(DEMO, tokens["access_token"].as_str(), "tools/list", serde_json::json!({})).await.expect(200);
}

/// Threat 62: pages in two tabs do not disturb each other, in whatever order they are answered.
#[tokio::test]
async fn t62_both_of_two_tabs_finish() {
    let hub = Hub::new().await;
    let (one, two) = (hub.app.client("One").await, hub.app.client("Two").await);
    let mut mel = hub.app.signed_in("mel").await;
    let (first, second) = (one.ask(&mut mel, DEMO).await, two.ask(&mut mel, DEMO).await);
    for (client, page) in [(&two, &second), (&one, &first)] {
        let code = code_in(mel.decide(page, "allow").await.expect(303).location()).expect("a code");
        Tokens::of(&client.redeem(&code, DEMO).await.expect(200));
    }
    // The same by way of a provider.
    let mut gail = hub.app.browser();
    let (first, second) = (one.ask(&mut gail, DEMO).await, two.ask(&mut gail, DEMO).await);
    let (to_first, to_second) = (leave(&mut gail, &first).await, leave(&mut gail, &second).await);
    for (client, url) in [(&two, to_second), (&one, to_first)] {
        let back = gail.get(&idp::choose(&url, GAIL).await).await.expect(303).location().to_owned();
        let confirm = gail.get(&back).await.expect(200);
        let code = code_in(gail.decide(&confirm, "allow").await.expect(303).location()).expect("a code");
        client.redeem(&code, DEMO).await.expect(200);
    }
}

/// Threat 63: without a person's consent from before, `prompt=none` gives errors and nothing else.
#[tokio::test]
async fn t63_prompt_none_tells_nothing() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let path = format!("{}&prompt=none", client.authorize_path(DEMO));
    let (mut nobody, mut mel) = (app.browser(), app.signed_in("mel").await);
    for (browser, error) in [(&mut nobody, "login_required"), (&mut mel, "consent_required")] {
        let answer = browser.get(&path).await.expect(400);
        assert!(answer.body.contains(error) && answer.header("location").is_none(), "{answer:?}");
        // For a server that is not there, or not open, it is the same.
        for other in ["/t/other/demo/mcp", "/t/acme/absent/mcp", "/t/absent/absent/mcp"] {
            let path = format!("{}&prompt=none", client.authorize_path(other));
            let body = browser.get(&path).await.expect(400).body;
            assert!(body.contains(error) && !body.contains("code="), "{other}: {body}");
        }
    }
}

/// Threat 67: the chain of redirects behind a form ends on a page of ours; what browsers make of it is shown in
/// three of them by the end-to-end test of the same number.
#[tokio::test]
async fn t67_a_form_never_redirects_to_a_provider() {
    let hub = Hub::new().await;
    let client = hub.app.client("Assistant").await;
    let mut gail = hub.app.browser();
    let page = client.ask(&mut gail, DEMO).await;
    let (csrf, txn) = (page.field("csrf"), page.field("txn"));
    let fields = [("csrf", &*csrf), ("txn", &*txn), ("account", ""), ("decision", "allow"), ("connection", "github")];
    let answer = gail.post("/oauth/consent", &fields).await.expect(303);
    let page = gail.get(answer.location()).await.expect(200);
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(page.body.contains("http-equiv=\"refresh\"") && page.body.contains("<a class=\"button"), "{}", page.body);
    assert!(policy.contains("form-action 'self';") && !policy.contains("sandbox"), "{policy}");
}
