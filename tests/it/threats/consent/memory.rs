//! Remembered consent: 8.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::{Answer, Browser, Client, REDIRECT, TestApp, World, code_in};

use super::DEMO;

/// Opens the request as a browser does that was sent there by nobody, with these changes to its query.
async fn open(browser: &mut Browser<'_>, client: &Client<'_>, site: Option<&str>, changes: &[(&str, &str)]) -> Answer {
    let path = client.authorize_path(DEMO);
    let (path, query) = path.split_once('?').expect("a query");
    let kept = url::form_urlencoded::parse(query.as_bytes());
    let kept = kept.filter(|(own, _)| changes.iter().all(|(name, _)| name != own));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept).extend_pairs(changes.iter().filter(|(_, value)| !value.is_empty()));
    let headers: Vec<_> = site.iter().map(|site| ("sec-fetch-site", *site)).collect();
    browser.send(Method::GET, &format!("{path}?{}", query.finish()), &headers, "").await
}

/// Whether the answer is a code, without a page; anything else has to be a page.
fn is_silent(answer: &Answer) -> bool {
    if answer.status == 303 {
        assert!(code_in(answer.location()).is_some(), "{answer:?}");
        return true;
    }
    assert_eq!(answer.header("location"), None, "{answer:?}");
    false
}

/// A world in which mel has agreed.
async fn agreed(app: &TestApp) -> (Client<'_>, Browser<'_>) {
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    client.tokens(&mut mel, DEMO).await;
    (client, mel)
}

/// Threat 8: a click that is spared is one that the same person made for the same, in a request that no other site
/// began; whatever differs shows the page.
#[tokio::test]
async fn t08_a_question_is_spared_only_for_the_same_again() {
    let app = TestApp::new().await;
    let (client, mut mel) = agreed(&app).await;
    for site in [Some("none"), Some("same-origin")] {
        let answer = open(&mut mel, &client, site, &[]).await;
        assert!(is_silent(&answer), "{site:?}: {answer:?}");
        let code = code_in(answer.location()).expect("a code");
        client.redeem(&code, DEMO).await.expect(200);
    }
    for site in [None, Some("cross-site"), Some("same-site"), Some(""), Some("None"), Some("none, same-origin")] {
        assert!(!is_silent(&open(&mut mel, &client, site, &[]).await), "{site:?}");
    }
    // Less is within what was agreed to; more is not, nor is another resource, nor a word of the client that asks.
    assert!(is_silent(&open(&mut mel, &client, Some("none"), &[("scope", "mcp:read")]).await));
    for changes in [
        [("prompt", "consent")],
        [("prompt", "login")],
        [("prompt", "select_account")],
        [("max_age", "0")],
        [("resource", "https://portico.test/t/acme/absent/mcp")],
        [("resource", "https://portico.test/t/other/demo/mcp")],
        [("resource", "")],
    ] {
        app.clock.advance(Duration::from_secs(1));
        let answer = open(&mut mel, &client, Some("none"), &changes).await;
        assert!(answer.status != 303 || !answer.location().starts_with(REDIRECT), "{changes:?}: {answer:?}");
    }
    // Without anything to show, what is remembered is an answer as well.
    let answer = open(&mut mel, &client, Some("none"), &[("prompt", "none")]).await;
    assert!(is_silent(&answer), "{answer:?}");
    assert!(!is_silent(&open(&mut mel, &client, Some("cross-site"), &[("prompt", "none")]).await));
    // Of another client with the same words, another person, nobody.
    let twin = app.client("Assistant").await;
    assert!(!is_silent(&open(&mut mel, &twin, Some("none"), &[]).await));
    let mut dora = app.signed_in("dora").await;
    assert!(!is_silent(&open(&mut dora, &client, Some("none"), &[]).await));
    let answer = open(&mut app.browser(), &client, Some("none"), &[]).await;
    assert!(answer.status == 303 && answer.location().starts_with("/login"), "{answer:?}");
}

/// Threat 8: more scopes than were agreed to are asked for, and what is agreed to then counts from then on.
#[tokio::test]
async fn t08_more_is_asked_for() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let narrow = [("scope", "mcp:read")];
    let page = open(&mut mel, &client, None, &narrow).await.expect(200);
    let code = code_in(mel.decide(&page, "allow").await.expect(303).location()).expect("a code");
    client.redeem(&code, DEMO).await.expect(200);
    assert!(is_silent(&open(&mut mel, &client, Some("none"), &narrow).await));
    assert!(!is_silent(&open(&mut mel, &client, Some("none"), &[]).await));
}

/// Threat 8: an app on this computer, behind a port or a scheme, is asked about every time: it may be another app.
#[tokio::test]
async fn t08_apps_on_this_computer_are_asked_about_every_time() {
    let app = TestApp::new().await;
    for redirect in ["http://127.0.0.1:7777/cb", "http://localhost:7777/cb", "com.example.app:/cb"] {
        let metadata = json!({ "client_name": "Local", "redirect_uris": [redirect] });
        let headers = [("content-type", "application/json")];
        let answer = app.send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await.expect(201);
        let client = Client::known(&app, answer.json()["client_id"].as_str().expect("an id"));
        let mut mel = app.signed_in("mel").await;
        for _ in 0..2 {
            let page = open(&mut mel, &client, Some("none"), &[("redirect_uri", redirect)]).await.expect(200);
            let back = mel.decide(&page, "allow").await.expect(303);
            assert!(back.location().starts_with(redirect) && back.location().contains("code="), "{back:?}");
        }
    }
}

/// Threat 8: what was agreed to is forgotten when it is revoked, when it is old, and when the way to it is lost.
#[tokio::test]
async fn t08_what_is_revoked_or_old_is_asked_again() {
    let app = TestApp::new().await;
    let (client, mut mel) = agreed(&app).await;
    app.clock.advance(Duration::from_secs(1));
    let answer = open(&mut mel, &client, Some("none"), &[]).await;
    client.redeem(&code_in(answer.location()).expect("a code"), DEMO).await.expect(200);
    // She revokes the newest: the page lists it first.
    let page = mel.get("/grants").await.expect(200);
    let marker = "href=\"/grants/";
    let at = page.body.find(marker).unwrap_or_else(|| panic!("{}", page.body)) + "href=\"".len();
    let revoke = page.body[at..].split('"').next().expect("attributes end").to_owned();
    let form = mel.get(&revoke).await.expect(200);
    mel.post(&revoke, &[("csrf", &form.field("csrf"))]).await.expect(303);
    assert!(!is_silent(&open(&mut mel, &client, Some("none"), &[]).await));

    let (client, mut mel) = agreed(&app).await;
    assert!(is_silent(&open(&mut mel, &client, Some("none"), &[]).await));
    let viewer = World::TWO_TENANTS.0.replace("\"mel\", role = \"member\"", "\"mel\", role = \"viewer\"");
    app.apply(&viewer, false).await;
    let answer = open(&mut mel, &client, Some("none"), &[]).await;
    assert!(!is_silent(&answer), "{answer:?}");
    app.apply(World::TWO_TENANTS.0, false).await;

    app.clock.advance(Duration::from_hours(91 * 24));
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    assert!(!is_silent(&open(&mut mel, &client, Some("none"), &[]).await));
}
