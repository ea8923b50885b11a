//! Clients that are documents.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use tests::{Client, REDIRECT, Tokens};

use super::{
    document_host::{DocumentHost, Reply},
    registration::{DEMO, HOST, SECOND, metadata, register, with},
};

/// A document at this address.
fn document(id: &str) -> Value {
    json!({
        "client_id": id,
        "client_name": "Assistant",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

/// Threat 33: a name that has one private address is not connected to, although another address would answer.
#[tokio::test]
async fn t33_private_addresses_are_not_connected_to() {
    let host = DocumentHost::start(&[HOST]).await;
    let app = host.app("").await;
    let id = format!("https://{HOST}/client.json");
    host.put(&id, Reply::json(&document(&id)));
    let path = Client::known(&app, &id).authorize_path(DEMO);
    for address in [
        "0.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::2",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        host.also_at(HOST, address.parse().expect("an address"));
        app.browser().get(&path).await.expect(400);
        assert_eq!(host.asked(), Vec::<String>::new(), "{address}");
        app.clock.advance(SECOND * 31);
    }
    host.also_at(HOST, IpAddr::V4(Ipv4Addr::LOCALHOST));
    app.browser().follow(&path).await.expect(200);
    assert_eq!(host.asked(), [id]);
}

/// Threat 33: addresses that lead inside are refused as they are written, before any name is looked up.
#[tokio::test]
async fn t33_addresses_inside_are_refused_as_written() {
    let host = DocumentHost::start(&[HOST]).await;
    let app = host.app("").await;
    for id in [
        "https://127.0.0.1/c",
        "https://[::1]/c",
        "https://2130706433/c",
        "https://0x7f000001/c",
        "https://localhost/c",
        "https://intranet/c",
        "https://db.internal/c",
        "https://printer.local/c",
        "https://x.localhost/c",
        "https://client.example:8443/c",
        "https://user@client.example/c",
        "https://client.example/../c",
        "https://client.example/%2e%2e/c",
        "https://client.example/c?x",
        "https://client.example/c#x",
        "https://client.example",
        "https://client.example/",
        "https://CLIENT.example/c",
        "http://client.example/c",
        "https://client.example\\@evil.example/c",
        "https://portico.test/c",
    ] {
        let answer = app.browser().get(&Client::known(&app, id).authorize_path(DEMO)).await;
        assert_eq!(answer.status, 400, "{id}");
    }
    assert!(host.asked().is_empty());
    for uri in ["https://127.0.0.1/k", "https://169.254.169.254/k", "http://client.example/k", "https://db.internal/k"]
    {
        register(&app, &with(metadata(), "jwks_uri", uri)).await.expect(400);
    }
}

/// Threat 33: what comes is cut off at 5 KiB and 5 seconds, whatever it says about itself, and leads nowhere else.
#[tokio::test]
async fn t33_what_comes_is_little_and_soon() {
    let host = DocumentHost::start(&[HOST]).await;
    let app = host.app("").await;
    let id = format!("https://{HOST}/client.json");
    let path = Client::known(&app, &id).authorize_path(DEMO);
    let fine = document(&id).to_string();
    let padded = |length: usize| fine.clone() + &" ".repeat(length - fine.len());
    let json = "content-type: application/json\r\n";
    let chunked = format!(
        "HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        5 * 1024 + 1,
        padded(5 * 1024 + 1),
    );
    for reply in [
        Reply::of("200 OK", json, padded(5 * 1024 + 1).as_bytes()),
        Reply::Bytes(chunked.into_bytes()),
        Reply::of("200 OK", &format!("{json}content-encoding: gzip\r\n"), b"\x1f\x8b\x08\x00bomb"),
        Reply::of("302 Found", &format!("{json}location: https://{HOST}/other.json\r\n"), fine.as_bytes()),
        Reply::of("301 Moved", "location: http://169.254.169.254/\r\n", b""),
        Reply::of("200 OK", "content-type: text/html\r\n", fine.as_bytes()),
        Reply::of("203 Other", json, fine.as_bytes()),
        Reply::of("500 Broken", json, fine.as_bytes()),
        Reply::Never,
    ] {
        host.put(&id, reply);
        let before = tokio::time::Instant::now();
        app.browser().get(&path).await.expect(400);
        assert!(before.elapsed() < SECOND * 8, "{:?}", before.elapsed());
        app.clock.advance(SECOND * 31);
    }
    assert!(host.asked().iter().all(|asked| *asked == id), "{:?}", host.asked());
    host.put(&id, Reply::of("200 OK", json, padded(5 * 1024).as_bytes()));
    app.browser().follow(&path).await.expect(200);
}

/// Threat 35: a document speaks for its own address, with nothing in it that others could use.
#[tokio::test]
async fn t35_a_document_speaks_for_itself_only() {
    let host = DocumentHost::start(&[HOST]).await;
    let app = host.app("").await;
    let id = format!("https://{HOST}/client.json");
    let path = Client::known(&app, &id).authorize_path(DEMO);
    let private = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "d": "d" }] });
    let own = document(&id);
    let twice = own.to_string().replacen('{', "{\"client_id\": \"https://bank.example/c\", ", 1);
    for reply in [
        Reply::json(&with(own.clone(), "client_id", "https://bank.example/client.json")),
        Reply::json(&with(own.clone(), "client_id", format!("{id}/"))),
        Reply::json(&with(own.clone(), "client_id", id.to_uppercase())),
        Reply::json(&with(own.clone(), "jwks", private)),
        Reply::json(&with(own.clone(), "client_secret", "s")),
        Reply::json(&with(own.clone(), "token_endpoint_auth_method", "client_secret_post")),
        Reply::json(&with(own.clone(), "redirect_uris", json!(["https://bank.example/callback"]))),
        Reply::of("200 OK", "content-type: application/json\r\n", twice.as_bytes()),
        Reply::of("404 Not Found", "content-type: application/json\r\n", own.to_string().as_bytes()),
    ] {
        host.put(&id, reply);
        app.browser().get(&path).await.expect(400);
        // What failed is not kept: half a minute later the address is asked again.
        host.put(&id, Reply::json(&own));
        app.browser().get(&path).await.expect(400);
        app.clock.advance(SECOND * 31);
    }
    let page = app.signed_in("mel").await.follow(&path).await.expect(200);
    assert!(page.body.contains(&format!("<code>{HOST}</code>")), "the page shows who speaks: {}", page.body);
    // An address that differs is another client.
    for other in [format!("{id}/"), format!("https://{HOST}/CLIENT.json")] {
        app.browser().get(&Client::known(&app, &other).authorize_path(DEMO)).await.expect(400);
    }
}

/// Threat 36: a document that changes after the page was shown is asked about anew, and nothing is handed out.
#[tokio::test]
async fn t36_a_changed_document_is_asked_about_anew() {
    let host = DocumentHost::start(&[HOST]).await;
    let app = host.app("").await;
    let id = format!("https://{HOST}/client.json");
    let short = "content-type: application/json\r\ncache-control: max-age=300\r\n";
    let says = |document: &Value| host.put(&id, Reply::of("200 OK", short, document.to_string().as_bytes()));
    let client = Client::known(&app, &id);
    let mut mel = app.signed_in("mel").await;
    for change in [
        with(document(&id), "client_name", "Other"),
        with(document(&id), "redirect_uris", json!([REDIRECT, "https://client.example/other"])),
        with(document(&id), "jwks_uri", "https://client.example/jwks.json"),
    ] {
        says(&document(&id));
        let page = client.ask(&mut mel, DEMO).await;
        app.clock.advance(SECOND * 301);
        says(&change);
        let answer = mel.decide(&page, "allow").await.expect(400);
        assert!(answer.header("location").is_none());
        let page = client.ask(&mut mel, DEMO).await;
        assert!(mel.decide(&page, "allow").await.expect(303).location().starts_with(REDIRECT));
        app.clock.advance(SECOND * 301);
    }
}

/// Threat 36: when the host is away, those who hold tokens go on, and nobody is told that they are not known.
#[tokio::test]
async fn t36_a_lost_document_logs_nobody_out() {
    let host = DocumentHost::start(&[HOST]).await;
    let app = host.app("").await;
    let id = format!("https://{HOST}/client.json");
    host.put(&id, Reply::json(&document(&id)));
    let client = Client::known(&app, &id);
    let mut tokens = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    host.put(&id, Reply::of("404 Not Found", "", b""));
    for _ in 0..3 {
        app.clock.advance(Duration::from_hours(20));
        tokens = Tokens::of(&client.refresh(&tokens.refresh).await.expect(200));
    }
    // Nothing new is begun with it by then.
    app.browser().get(&client.authorize_path(DEMO)).await.expect(400);
    // Another process has only what was kept.
    if app.places.is_some() {
        let replica = app.replica().await;
        let there = Client::known(&replica, &id);
        tokens = Tokens::of(&there.refresh(&tokens.refresh).await.expect(200));
    }
    // A client that nobody allowed anything has nothing that was kept.
    let unknown = Client::known(&app, &format!("https://{HOST}/nobody.json"));
    let answer = unknown.refresh(&tokens.refresh).await.expect(503);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

/// Threat 37: one caller has few documents fetched, and many callers of one address have it fetched once.
#[tokio::test]
async fn t37_few_documents_are_fetched() {
    let names: Vec<String> = (0..100).map(|n| format!("h{n}.example")).chain([HOST.to_owned()]).collect();
    let host = DocumentHost::start(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let app = host.app("trusted_proxies = [\"127.0.0.1/32\"]\n").await;
    let visit = async |id: &str, address: &str| {
        let path = Client::known(&app, id).authorize_path(DEMO);
        app.send(Method::GET, &path, &[("x-forwarded-for", address)], "").await
    };
    let mut waiting = 0;
    for name in &names[..100] {
        let answer = visit(&format!("https://{name}/client.json"), "192.0.2.7").await;
        waiting += usize::from(answer.status == 429 && answer.header("retry-after").is_some());
    }
    assert!((1..=20).contains(&host.asked().len()), "{}", host.asked().len());
    assert!(waiting >= 80, "{waiting}");

    // Somebody else is not affected, nor are two who ask for the same.
    let before = host.asked().len();
    let id = format!("https://{HOST}/client.json");
    host.put(&id, Reply::json(&document(&id)));
    let visits = (0..20).map(|n| visit(&id, if n % 2 == 0 { "198.51.100.1" } else { "203.0.113.1" }));
    for answer in futures_util::future::join_all(visits).await {
        assert!(answer.status.is_success() || answer.status == 303, "{answer:?}");
    }
    assert_eq!(host.asked().len(), before + 1);

    // Of one host, few: ten, then one in six seconds; and an address that failed is left alone.
    let before = host.asked().len();
    for n in 0..30 {
        let address = format!("203.0.{n}.1");
        visit(&format!("https://{HOST}/{n}"), &address).await.expect(if n < 9 { 400 } else { 429 });
        visit(&format!("https://{HOST}/0"), &address).await.expect(400);
    }
    assert_eq!(host.asked().len(), before + 9);
}
