//! Where answers may go.

use http::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, ORIGIN, REDIRECT, TestApp};

use super::document_host::{DocumentHost, Reply};

const DEMO: &str = "/t/acme/demo/mcp";

async fn register(app: &TestApp, metadata: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    app.send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await
}

/// A client with these redirect URIs.
async fn client<'a>(app: &'a TestApp, uris: &[&str]) -> Client<'a> {
    let metadata = json!({ "client_name": "Assistant", "redirect_uris": uris });
    let id = register(app, &metadata).await.expect(201).json()["client_id"].as_str().expect("an id").to_owned();
    Client::known(app, &id)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The client's request, with another redirect URI.
fn path_to(client: &Client<'_>, uri: &str) -> String {
    client.authorize_path(DEMO).replace(&encoded(REDIRECT), &encoded(uri))
}

/// Asserts that a request ends on a page of ours that leads nowhere.
async fn refused(app: &TestApp, path: &str) {
    let mut nobody = app.browser();
    let answer = nobody.get(path).await.expect(400);
    assert!(answer.header("location").is_none() && !answer.body.contains("Back to the application"), "{path}");
}

/// Threat 14: a redirect URI that the client has not registered is a page, whoever is signed in.
#[tokio::test]
async fn t14_what_is_not_registered_is_a_page() {
    let app = TestApp::new().await;
    let client = client(&app, &[REDIRECT]).await;
    for other in ["https://evil.example/", "https://client.example/", "https://client.example/callback2", "x"] {
        refused(&app, &path_to(&client, other)).await;
    }
    let mut mel = app.signed_in("mel").await;
    let answer = mel.get(&path_to(&client, "https://evil.example/")).await.expect(400);
    assert!(answer.header("location").is_none());
    let none = client.authorize_path(DEMO).replace(&format!("redirect_uri={}&", encoded(REDIRECT)), "");
    app.browser().follow(&none).await.expect(200);
    let two = self::client(&app, &[REDIRECT, "https://client.example/two"]).await;
    let none = two.authorize_path(DEMO).replace(&format!("redirect_uri={}&", encoded(REDIRECT)), "");
    refused(&app, &none).await;
}

/// Spellings that some parser takes for `https://client.example/callback`, or for another host than others do.
const SPELLINGS: &[&str] = &[
    "https://client.example/x/../callback",
    "https://client.example/x/%2e%2e/callback",
    "https://client.example/./callback",
    "https://client.example//callback",
    "https://client.example/callback/",
    "https://client.example/callback#",
    "https://client.example/callback#x",
    "https://client.example/callback?",
    "https://client.example/callback?x=1",
    "https://client.example/%63allback",
    "https://client.example/callback%20",
    "https://client.example:443/callback",
    "https://CLIENT.example/callback",
    "HTTPS://client.example/callback",
    "https://client.example./callback",
    "https://client.example\\callback",
    "https:\\\\client.example/callback",
    "https:/client.example/callback",
    "https://client.example@evil.example/callback",
    "https://evil.example\\@client.example/callback",
    "https://user@client.example/callback",
    "https://client.example.evil.example/callback",
    "https://client.example%2eevil.example/callback",
    "https://client.example%00.evil.example/callback",
    "https://client.example\t/callback",
    "https://client.example/call\nback",
    " https://client.example/callback",
    "https://client.example/callback ",
    "https://cl\u{456}ent.example/callback",
    "https://\u{ff43}lient.example/callback",
    "http://client.example/callback",
    "//client.example/callback",
];

/// Spellings that some parser takes for `http://127.0.0.1/callback` or `http://localhost/callback`.
const LOOPBACKS: &[&str] = &[
    "http://127.0.0.1:1@evil.example/callback",
    "http://localhost@evil.example/callback",
    "http://localhost.evil.example/callback",
    "http://127.0.0.1.nip.io/callback",
    "http://127.0.0.2/callback",
    "http://127.1/callback",
    "http://0x7f.0.0.1/callback",
    "http://2130706433/callback",
    "http://0.0.0.0/callback",
    "http://[::ffff:127.0.0.1]/callback",
    "http://[::]/callback",
    "http://[::1]/callback",
    "http://[0:0:0:0:0:0:0:1]/callback",
    "http://localhost./callback",
    "http://app.localhost/callback",
    "http://LOCALHOST/callback",
    "http://localhost:/callback",
    "http://localhost:0/callback",
    "http://localhost:65536/callback",
    "http://localhost:80x/callback",
    "http://localhost:1/callback/../x",
    "http://localhost:1/callback?x",
    "http://localhost:1/callback#",
    "http://localhost:1\\callback",
    "https://localhost/callback",
    "https://127.0.0.1/callback",
];

/// Threat 15: a redirect URI is compared as the bytes that were registered, but for a loopback port.
#[tokio::test]
async fn t15_spellings_are_not_the_registered_one() {
    let app = TestApp::new().await;
    let client = client(&app, &[REDIRECT, "http://127.0.0.1/callback", "http://localhost/callback"]).await;
    let mut browser = app.browser();
    for good in [REDIRECT, "http://127.0.0.1/callback", "http://127.0.0.1:5000/callback", "http://localhost:1/callback"]
    {
        browser.follow(&path_to(&client, good)).await.expect(200);
    }
    for other in SPELLINGS.iter().chain(LOOPBACKS) {
        let answer = browser.get(&path_to(&client, other)).await.expect(400);
        assert!(answer.header("location").is_none(), "{other}");
    }
}

/// What parsers read in different ways, whatever it is compared with.
const AMBIGUOUS: &[&str] = &[
    "https://client.example/x/../callback",
    "https://client.example/%2e%2e/callback",
    "https://client.example/%2E/callback",
    "https://client.example/callback#",
    "https://client.example/callback#x",
    "https://client.example\\callback",
    "https:/client.example/callback",
    "https://client.example@evil.example/callback",
    "https://user@client.example/callback",
    "https://client.example%2eevil.example/callback",
    "https://client.example/%00",
    "https://client.example/%5c..",
    "https://client.example\t/callback",
    "https://client.example/call\nback",
    " https://client.example/callback",
    "https://cl\u{456}ent.example/callback",
    "https://client.example./callback",
    "https://client/callback",
    "https://192.0.2.1/callback",
    "https://3221225985/callback",
    "https://[2001:db8::1]/callback",
    "https://*.client.example/callback",
    "https://client.example:99999/callback",
    "http://client.example/callback",
    "http://127.0.0.1.nip.io/callback",
    "http://127.0.0.2/callback",
    "http://0.0.0.0/callback",
    "http://[::ffff:127.0.0.1]/callback",
    "http://localhost./callback",
    "http://app.localhost/callback",
    "http://localhost@evil.example/callback",
    "//client.example/callback",
    "callback",
];

/// Threat 15: what parsers read in different ways cannot be registered, nor be in a document.
#[tokio::test]
async fn t15_what_is_ambiguous_cannot_be_registered() {
    let app = TestApp::new().await;
    for uri in AMBIGUOUS {
        let answer = register(&app, &json!({ "redirect_uris": [REDIRECT, uri] })).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_redirect_uri", "{uri}");
    }
}

/// Schemes that run or show something instead of leading to an application.
const SCHEMES: &[&str] = &[
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "javascript://client.example/%0aalert(1)",
    "data:text/html,x",
    "data:text/html;base64,eA==",
    "file:///etc/passwd",
    "vbscript:x",
    "blob:https://client.example/x",
    "about:blank",
    "view-source:https://client.example/",
    "ws://client.example/",
    "wss://client.example/",
    "ftp://client.example/",
    "intent://x#Intent;end",
    "chrome://settings",
    "chrome-extension://x/y",
    "filesystem:https://client.example/x",
    "cursor://evil/oauth/callback",
    "vscode://evil/x",
    "mailto:x@client.example",
];

/// Threat 16: schemes that run something are refused at registration, in a document, and in a request.
#[tokio::test]
async fn t16_schemes_that_run_something_are_refused_everywhere() {
    let host = DocumentHost::start(&["app.example"]).await;
    let app = host.app("").await;
    let client = client(&app, &[REDIRECT]).await;
    for (n, scheme) in SCHEMES.iter().enumerate() {
        let answer = register(&app, &json!({ "redirect_uris": [REDIRECT, scheme] })).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_redirect_uri", "{scheme}");
        refused(&app, &path_to(&client, scheme)).await;

        let id = format!("https://app.example/{n}");
        let uris = json!(["https://app.example/callback", scheme]);
        host.put(&id, Reply::json(&json!({ "client_id": id, "client_name": "App", "redirect_uris": uris })));
        // Everybody has a computer of their own, whose documents are fetched within limits of their own.
        app.clock.advance(std::time::Duration::from_secs(10));
        refused(&app, &path_to(&Client::known(&app, &id), "https://app.example/callback")).await;
    }
    assert!(!host.asked().is_empty());
    // The scheme of a known application is fine, whole.
    let cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
    let cursors = self::client(&app, &[cursor]).await;
    app.browser().follow(&path_to(&cursors, cursor)).await.expect(200);
}

/// Threat 46: parameters that are there twice are refused, in requests and in forms.
#[tokio::test]
async fn t46_what_is_there_twice_is_refused() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let path = client.authorize_path(DEMO);
    let (_, query) = path.split_once('?').expect("a query");
    for pair in query.split('&') {
        let (name, _) = pair.split_once('=').expect("a pair");
        refused(&app, &format!("{path}&{pair}")).await;
        refused(&app, &format!("{path}&{name}=other")).await;
    }
    let mut browser = app.signed_in("mel").await;
    let code = client.code(&mut browser, DEMO).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("client_id", &*client.id),
        ("code_verifier", tests::VERIFIER),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for pair in body.split('&') {
        let answer = app.send(Method::POST, "/oauth/token", &form, &format!("{body}&{pair}")).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_request", "{pair}");
    }
    client.redeem(&code, DEMO).await.expect(200);
}

/// Threat 46: what the client's own redirect URI says about the answer is replaced by the answer.
#[tokio::test]
async fn t46_the_answer_stands_over_the_query_that_was_registered() {
    let app = TestApp::new().await;
    let uri = "https://client.example/callback?own=1&code=evil&state=evil&iss=https%3A%2F%2Fevil.example&error=evil";
    let client = client(&app, &[uri]).await;
    let mut browser = app.signed_in("mel").await;
    let page = browser.follow(&path_to(&client, uri)).await.expect(200);
    let answer = browser.decide(&page, "allow").await.expect(303);
    let url = url::Url::parse(answer.location()).expect("a URL");
    let all = |name: &str| -> Vec<String> {
        url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    };
    assert_eq!((all("own"), all("iss")), (vec!["1".to_owned()], vec![ORIGIN.to_owned()]));
    assert_eq!((all("code").len(), all("state").len(), all("error").len()), (1, 1, 0), "{url}");
    assert!(!url.as_str().contains("evil"), "{url}");
}

/// Threat 47: a mistake in a request of a client that nobody knows is a page; a person goes on by hand.
#[tokio::test]
async fn t47_a_mistake_does_not_lead_away() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let path = client.authorize_path(DEMO);
    let scope = format!("scope={}", encoded("mcp:read mcp:tools offline_access"));
    assert!(path.contains(&scope));
    let mut browsers = [app.browser(), app.signed_in("mel").await];
    for (from, to) in [
        (&*scope, "scope=admin"),
        ("response_type=code", "response_type=token"),
        ("code_challenge_method=S256", "code_challenge_method=plain"),
        ("code_challenge=", "other="),
        ("%2Ft%2Facme%2Fdemo", "%2Ft%2FAcme%2Fdemo%2Fx"),
        ("state=", "request=x&state="),
        ("state=", "prompt=none&state="),
        ("state=", "response_mode=fragment&state="),
    ] {
        let path = path.replacen(from, to, 1);
        for browser in &mut browsers {
            let answer = browser.get(&path).await;
            let refused = !answer.status.is_redirection() && answer.header("location").is_none();
            assert!(refused && answer.header("refresh").is_none(), "{path}: {}", answer.status);
            assert!(!answer.body.contains("http-equiv=\"refresh\""), "{path}");
        }
    }
}

/// Threat 61: however many requests a browser begins, its cookies stay few, and the last request works.
#[tokio::test]
async fn t61_many_requests_have_few_cookies() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut browser = app.signed_in("mel").await;
    let mut last = None;
    for _ in 0..100 {
        last = Some(browser.follow(&client.authorize_path(DEMO)).await.expect(200));
        let size: usize = browser.cookies().iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        assert!(size < 2048, "{size} bytes of cookies");
    }
    let answer = browser.decide(&last.expect("a page"), "allow").await.expect(303);
    assert!(tests::code_in(answer.location()).is_some());
}
