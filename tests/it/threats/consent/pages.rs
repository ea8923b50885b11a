//! What pages are: 6, 7.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use serde_json::json;
use tests::{Answer, TestApp};

use super::super::hub::Hub;
use crate::isolation::ROUTES;

/// The headers of a page (oauth.md §4.6; why the policy has no `sandbox` and why `Referrer-Policy` is not
/// `no-referrer` is said in `http_kit::page_headers`), and what their values must have in them.
const HEADERS: [(&str, &[&str]); 9] = [
    (
        "content-security-policy",
        &[
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
        ],
    ),
    ("x-frame-options", &["DENY"]),
    ("x-content-type-options", &["nosniff"]),
    ("referrer-policy", &["same-origin"]),
    ("cache-control", &["no-store"]),
    ("cross-origin-opener-policy", &["same-origin"]),
    ("cross-origin-resource-policy", &["same-origin"]),
    ("permissions-policy", &["camera=()", "geolocation=()", "payment=()"]),
    ("strict-transport-security", &["max-age=63072000"]),
];

fn faults(answer: &Answer) -> Vec<String> {
    let wrong = |(name, parts): &(&str, &[&str])| {
        let value = answer.header(name).unwrap_or_default();
        let missing: Vec<_> = parts.iter().filter(|part| !value.contains(**part)).collect();
        (!missing.is_empty()).then(|| format!("{name}: {value:?} without {missing:?}"))
    };
    HEADERS.iter().filter_map(wrong).collect()
}

/// Threat 6: every page, whoever opens it and whatever it says, forbids to be framed and has the other headers.
#[tokio::test]
async fn t06_every_page_has_the_headers() {
    let app = TestApp::new().await;
    let mut pages = BTreeSet::new();
    for actor in ["", "sam", "owen", "otto"] {
        let signed_in = if actor.is_empty() { app.browser() } else { app.signed_in(actor).await };
        for (method, path) in ROUTES {
            let mut browser = signed_in.clone();
            let method: Method = method.parse().expect("a method");
            let answer = browser.send(method.clone(), path, &[], "").await;
            let html = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
            if html {
                assert_eq!(faults(&answer), Vec::<String>::new(), "{method} {path} as {actor:?}");
                pages.insert(*path);
            }
        }
    }
    assert!(pages.len() > 15, "{pages:?}");

    // Pages of a flow under way, which no list of addresses can have.
    let hub = Hub::new().await;
    let client = hub.app.client("Assistant").await;
    let mut gail = hub.app.browser();
    let consent = client.ask(&mut gail, super::DEMO).await;
    assert_eq!(faults(&consent), Vec::<String>::new());
    super::leave(&mut gail, &consent).await;
    let onward = gail.get(&format!("/oauth/continue/{}", consent.field("txn"))).await.expect(200);
    assert_eq!(faults(&onward), Vec::<String>::new());
    let refused = gail.get("/oauth/callback/github?state=x&code=y").await.expect(400);
    assert_eq!(faults(&refused), Vec::<String>::new());
}

/// A page's tags with the names of their attributes: what escaped text cannot change.
fn skeleton(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for piece in page.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap_or_default();
        let mut outside = String::new();
        for (at, part) in tag.split('"').enumerate() {
            if at % 2 == 0 {
                outside.push_str(part);
            }
        }
        tags.push(outside);
    }
    tags
}

/// Things that were markup, script or another direction of writing somewhere.
const HOSTILE: &[&str] = &[
    "\"><svg onload=alert(1)>",
    "'><img src=x onerror=alert(1)>",
    "</strong><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "\" autofocus onfocus=\"alert(1)",
    "&lt;script&gt;&#x3c;script&#x3e;",
    "<!--",
    "]]><a href=\"javascript:alert(1)\">",
    "\u{202e}txt.exe\u{202c} \u{200b}\u{feff}",
    "a\u{0}b\r\nSet-Cookie: x=y",
    "`${alert(1)}`",
];

/// Threat 7: nothing that a client says, in its registration or in its request, is markup on a page.
#[tokio::test]
async fn t07_what_clients_say_stays_text() {
    let app = TestApp::new().await;
    let mut mel = app.signed_in("mel").await;
    let mut texts: Vec<String> = HOSTILE.iter().map(|text| (*text).to_owned()).collect();
    for _ in 0..40 {
        let mut bytes = [0; 24];
        app.entropy.fill(&mut bytes);
        // Mostly what has a meaning in markup.
        let alphabet: Vec<char> = "<>\"'&/=; `aé\u{202e}\u{7}\\".chars().collect();
        texts.push(bytes.iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect());
    }
    let client = app.client("Plain").await;
    let plain = skeleton(&client.ask(&mut mel, super::DEMO).await.body);
    let mut shown = 0;
    for text in &texts {
        let path: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let metadata = json!({
            "client_name": text,
            "client_uri": format!("https://client.example/{path}"),
            "logo_uri": format!("javascript:{text}"),
            "redirect_uris": [tests::REDIRECT],
        });
        let headers = [("content-type", "application/json")];
        let registered = app.send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await;
        if registered.status == 201 {
            let id = registered.json()["client_id"].as_str().expect("an id").to_owned();
            let page = tests::Client::known(&app, &id).ask(&mut mel, super::DEMO).await;
            assert_eq!(skeleton(&page.body), plain, "{text:?} in {}", page.body);
            shown += 1;
        } else {
            registered.expect(400);
        }
        // How many may register in a time is not what this is about.
        app.clock.advance(Duration::from_mins(2));
        for name in ["state", "scope", "resource", "prompt", "login_hint", "client_id", "redirect_uri", "response_type"]
        {
            let base = client.authorize_path(super::DEMO);
            let (path_and, query) = base.split_once('?').expect("a query");
            let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(own, _)| own != name);
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            let query = query.extend_pairs(kept).append_pair(name, text).finish();
            let page = mel.get(&format!("{path_and}?{query}")).await;
            let unknown: Vec<_> = skeleton(&page.body)
                .into_iter()
                .filter(|tag| tag.contains("alert") || tag.contains("svg on"))
                .collect();
            assert!(unknown.is_empty() && !page.body.contains("<script"), "{name}={text:?}: {unknown:?}");
        }
    }
    assert!(shown >= 5, "only {shown} of the names were taken");
}
