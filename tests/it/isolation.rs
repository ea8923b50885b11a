//! Who sees what: every route as everybody, and the answers that must not differ, byte by byte.

use std::fmt::Write as _;

use http::Method;
use serde_json::json;
use tests::{Answer, Browser, TestApp};

const ACTORS: [&str; 8] = ["anonymous", "sam", "vic", "mel", "dora", "owen", "olga", "otto"];

/// Every route of pages, as somebody would open or send it.
pub(crate) const ROUTES: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/google"),
    ("GET", "/logout"),
    ("POST", "/logout"),
    ("GET", "/setup"),
    ("POST", "/setup"),
    ("GET", "/grants"),
    ("GET", "/grants/gra_01a1f95e97b17e4981a14850cfd7f7a4/revoke"),
    ("POST", "/grants/gra_01a1f95e97b17e4981a14850cfd7f7a4/revoke"),
    ("GET", "/t/new"),
    ("POST", "/t/new"),
    ("GET", "/t/acme"),
    ("GET", "/t/absent"),
    ("GET", "/t/acme/new"),
    ("POST", "/t/acme/new"),
    ("GET", "/t/acme/demo"),
    ("POST", "/t/acme/demo"),
    ("GET", "/t/acme/settings"),
    ("POST", "/t/acme/settings"),
    ("GET", "/t/acme/absent"),
    ("GET", "/t/acme/demo/review"),
    ("POST", "/t/acme/demo/review"),
    ("GET", "/oauth/authorize"),
    ("GET", "/oauth/consent"),
    ("POST", "/oauth/consent"),
    ("GET", "/oauth/continue/x"),
    ("GET", "/oauth/callback/google"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/register"),
    ("GET", "/oauth/register/c_absent"),
    ("GET", "/oauth/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/oauth-protected-resource/t/acme/demo/mcp"),
    ("GET", "/.well-known/oauth-protected-resource/t/acme/absent/mcp"),
    ("GET", "/static/portico.svg"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/nowhere"),
    ("POST", "/nowhere"),
    ("POST", "/t/acme/demo/mcp"),
    ("POST", "/t/acme/absent/mcp"),
];

async fn send(browser: &mut Browser<'_>, method: &str, path: &str) -> Answer {
    match method {
        // Without a CSRF token: what a form of another site could send at best.
        "POST" => browser.post(path, &[]).await,
        _ => browser.get(path).await,
    }
}

#[tokio::test]
async fn every_route_as_everybody() {
    let app = TestApp::new().await;
    let mut columns = Vec::new();
    for actor in ACTORS {
        let mut statuses = Vec::new();
        for (method, path) in ROUTES {
            // Each with a session of its own: signing out is one of the routes.
            let mut browser = if actor == "anonymous" { app.browser() } else { app.signed_in(actor).await };
            statuses.push(send(&mut browser, method, path).await.status.as_u16());
        }
        columns.push(statuses);
    }
    let mut table = format!("{:<68}", "");
    for actor in ACTORS {
        write!(table, "{actor:>10}").expect("a string takes it");
    }
    for (row, (method, path)) in ROUTES.iter().enumerate() {
        write!(table, "\n{:<68}", format!("{method} {path}")).expect("a string takes it");
        for column in &columns {
            write!(table, "{:>10}", column[row]).expect("a string takes it");
        }
    }
    insta::assert_snapshot!(table);
}

/// What differs between two requests whatever happens: their ids, and the names that were asked for.
fn bytes(answer: &Answer, path: &str) -> String {
    let mut headers: Vec<_> =
        answer.headers.iter().filter(|(name, _)| *name != "x-request-id").map(|(n, v)| format!("{n}: {v:?}")).collect();
    headers.sort();
    let whole = format!("{}\n{}\n\n{}", answer.status, headers.join("\n"), answer.body);
    let id = answer.header("x-request-id").unwrap_or("no id");
    let encoded: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    whole.replace(id, "ID").replace(path, "PATH").replace(&encoded, "PATH")
}

#[tokio::test]
async fn anonymous_callers_cannot_tell_servers_from_nothing() {
    let app = TestApp::new().await;
    let mut seen = Vec::new();
    for path in ["/t/acme/demo/mcp", "/t/acme/absx/mcp", "/t/none/demo/mcp"] {
        let answer = app.call(path, None, "tools/list", json!({})).await.expect(401);
        seen.push(bytes(&answer, path));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    let mut pages = Vec::new();
    for path in ["/t/acme", "/t/none", "/t/acme/demo", "/t/acme/absx"] {
        pages.push(bytes(&app.browser().get(path).await.expect(303), path));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
}

#[tokio::test]
async fn there_is_nothing_at_an_address_that_is_none_whatever_is_sent() {
    let app = TestApp::new().await;
    for actor in ["anonymous", "owen"] {
        let mut browser = if actor == "anonymous" { app.browser() } else { app.signed_in(actor).await };
        let opened = bytes(&browser.get("/nowhere").await.expect(404), "/nowhere");
        for headers in [&[][..], &[("origin", "https://evil.example")], &[("origin", "null")]] {
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                // A program's, which reads JSON: the page is for who asks for one.
                let html = [headers, &[("accept", "text/html")]].concat();
                let answer = browser.send(method, "/nowhere", &html, "a=b").await.expect(404);
                assert_eq!(bytes(&answer, "/nowhere"), opened, "{actor} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn strangers_cannot_tell_tenants_from_nothing() {
    let app = TestApp::new().await;
    for stranger in ["sam", "olga", "otto"] {
        let mut browser = app.signed_in(stranger).await;
        let mut seen = Vec::new();
        for path in ["/t/acme", "/t/none", "/t/acme/demo", "/t/acme/absx", "/t/acme/new", "/t/none/demo/review"] {
            seen.push(bytes(&browser.get(path).await.expect(404), path));
        }
        assert!(seen.iter().all(|page| *page == seen[0]), "{seen:#?}");
    }
}

#[tokio::test]
async fn strangers_are_asked_nothing_about_servers() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut sam = app.signed_in("sam").await;
    let mut seen = Vec::new();
    for path in ["/t/acme/demo/mcp", "/t/acme/absx/mcp", "/t/none/demo/mcp"] {
        let page = sam.follow(&client.authorize_path(path)).await;
        assert!(!page.body.contains("Demo"), "{}", page.body);
        let (csrf, txn) = (page.field("csrf"), page.field("txn"));
        let mut page = page;
        page.headers.remove("set-cookie");
        seen.push(bytes(&page, path).replace(&csrf, "CSRF").replace(&txn, "TXN"));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[tokio::test]
async fn a_token_is_for_one_resource() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let tokens = client.tokens(&mut app.signed_in("mel").await, "/t/acme/demo/mcp").await;
    let mut seen = Vec::new();
    for path in ["/t/other/demo/mcp", "/t/acme/absx/mcp", "/t/none/demo/mcp"] {
        let answer = app.call(path, Some(&tokens.access), "tools/list", json!({})).await.expect(401);
        assert!(answer.header("www-authenticate").unwrap_or_default().contains("invalid_token"), "{answer:?}");
        seen.push(bytes(&answer, path));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    app.send(Method::POST, "/t/acme/demo/mcp?access_token=x", &[("host", "portico.test")], "{}").await.expect(400);
}
