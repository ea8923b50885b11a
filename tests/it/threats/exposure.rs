//! What gets out, and to whom: 25, 49, 50, 56, 58, 60, 70.

mod behind;

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::Method;
use serde_json::json;
use tests::{Answer, TestApp, Tokens, idp};
use tracing_subscriber::fmt::MakeWriter;

use super::hub::{GAIL, Hub, leave};

const DEMO: &str = "/t/acme/demo/mcp";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[track_caller]
fn is_kept_nowhere(answer: &Answer) {
    assert!(answer.header("cache-control").is_some_and(|value| value.contains("no-store")), "{:?}", answer.headers);
}

/// Threat 49: at the most talkative level the log has no code, token, session, state or verifier in it; what carries
/// one is not to be cached, and no page says to another site where it was.
#[tokio::test]
async fn t49_no_secret_is_logged_cached_or_referred() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let hub = Hub::new().await;
    let client = hub.app.client("Assistant").await;
    let mut gail = hub.app.browser();
    let page = client.ask(&mut gail, DEMO).await;
    let url = leave(&mut gail, &page).await;
    let sent: Vec<_> = url::Url::parse(&url).expect("a URL").query_pairs().into_owned().collect();
    let arrival = idp::choose(&url, GAIL).await;
    let back = gail.get(&arrival).await.expect(303);
    is_kept_nowhere(&back);
    let confirm = gail.get(back.location()).await.expect(200);
    let decided = gail.decide(&confirm, "allow").await.expect(303);
    is_kept_nowhere(&decided);
    assert_eq!(decided.header("referrer-policy"), Some("same-origin"));
    let code = tests::code_in(decided.location()).expect("a code");
    let answer = client.redeem(&code, DEMO).await.expect(200);
    is_kept_nowhere(&answer);
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let first = Tokens::of(&answer);
    let second = Tokens::of(&client.refresh(&first.refresh).await.expect(200));
    is_kept_nowhere(&client.redeem(&code, DEMO).await.expect(400));
    hub.app.call(DEMO, Some(&second.access), "tools/list", json!({})).await.expect(200);
    let query = format!("{DEMO}?access_token={}", second.access);
    hub.app.send(Method::POST, &query, &[("content-type", "application/json")], "{}").await.expect(400);

    let mut secrets = vec![code, first.access, first.refresh, second.access, second.refresh];
    secrets.extend([page.field("csrf"), page.field("txn"), confirm.field("csrf"), tests::VERIFIER.to_owned()]);
    secrets.extend(
        sent.into_iter().filter(|(name, _)| name == "state" || name == "code_challenge").map(|(_, value)| value),
    );
    secrets.push(
        url::Url::parse(&arrival)
            .expect("a URL")
            .query_pairs()
            .find(|(name, _)| name == "code")
            .expect("a code")
            .1
            .into_owned(),
    );
    secrets.extend(gail.cookie_values().map(str::to_owned));
    let text = String::from_utf8(log.0.lock().expect("no writer panics").clone()).expect("text");
    assert!(text.contains("TRACE") && text.contains("signed in"), "the log was seen: {} bytes", text.len());
    for secret in secrets.iter().filter(|secret| secret.len() >= 16) {
        let line = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{secret}");
    }
    assert!(secrets.len() > 12);
}

/// Threat 50: documents, challenges and redirects are the same whatever a request says about hosts.
#[tokio::test]
async fn t50_hosts_of_requests_change_nothing() {
    let app = TestApp::new().await;
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-original-url", "https://evil.example/"),
        ("x-forwarded-port", "81"),
        ("x-forwarded-prefix", "/evil"),
    ];
    let paths = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource/t/acme/demo/mcp",
        "/oauth/jwks.json",
        "/t/acme",
        "/t/acme/demo/mcp",
    ];
    for path in paths {
        let method = if path.ends_with("demo/mcp") && path.starts_with("/t/") { Method::POST } else { Method::GET };
        let plain = app.send(method.clone(), path, &[], "{}").await;
        let answer = app.send(method.clone(), path, &forged, "{}").await;
        let picture = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            let id = answer.header("x-request-id").unwrap_or("no id").to_owned();
            (answer.status, answer.body.replace(&id, "ID"), headers)
        };
        assert_eq!(picture(&plain), picture(&answer), "{path}");
        for host in ["evil.example", "portico.test.evil.example", "portico.test:8443", "portico.test@evil.example", ""]
        {
            let answer = app.send(method.clone(), path, &[("host", host)], "{}").await.expect(421);
            assert!(!answer.body.contains("evil"), "{path} {host}: {}", answer.body);
        }
    }
}

/// Threat 56: nobody learns from a status, a header or a body which tenants and servers there are.
#[tokio::test]
async fn t56_absent_and_closed_look_alike() {
    let app = TestApp::new().await;
    let there = ["/t/acme/demo/mcp", "/t/acme/absx/mcp", "/t/none/demo/mcp"];
    let picture = |answer: &Answer, path: &str| {
        let all = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
        let mut headers: Vec<_> = all.map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.sort();
        // The names that were asked for come back.
        let mut names = path.split('/').skip(2);
        let called = match (names.next(), names.next()) {
            (Some(tenant), Some(server)) => format!("{server} of {tenant}"),
            _ => path.to_owned(),
        };
        let id = answer.header("x-request-id").unwrap_or("no id");
        let whole = format!("{} {headers:?} {}", answer.status, answer.body);
        whole.replace(path, "PATH").replace(&called, "NAME").replace(id, "ID")
    };
    let client = app.client("Assistant").await;
    let token = client.tokens(&mut app.signed_in("mel").await, DEMO).await.access;
    for (method, prefix, bearer) in [
        (Method::GET, "/.well-known/oauth-protected-resource", None),
        (Method::HEAD, "/.well-known/oauth-protected-resource", None),
        (Method::OPTIONS, "/.well-known/oauth-protected-resource", None),
        (Method::POST, "", None),
        (Method::POST, "", Some("Bearer not-a-token".to_owned())),
        (Method::GET, "", None),
        (Method::DELETE, "", None),
    ] {
        let mut seen = Vec::new();
        for path in there {
            let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", &**bearer)).collect();
            let answer = app.send(method.clone(), &format!("{prefix}{path}"), &headers, "{}").await;
            seen.push(picture(&answer, path));
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{method} {prefix}: {seen:#?}");
    }
    // A good token of another resource says no more.
    let mut seen = Vec::new();
    for path in ["/t/other/demo/mcp", "/t/other/absx/mcp", "/t/none/demo/mcp"] {
        let answer = app.call(path, Some(&token), "tools/list", json!({})).await.expect(401);
        seen.push(picture(&answer, path));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    // Somebody who is signed in and no member sees the same page for all.
    for path in ["", "/new"] {
        let mut seen = Vec::new();
        for tenant in ["/t/acme", "/t/none"] {
            let answer = app.signed_in("sam").await.get(&format!("{tenant}{path}")).await.expect(404);
            seen.push(picture(&answer, tenant));
        }
        assert_eq!(seen[0], seen[1]);
    }
}
