//! Where our own requests may go: 33, 34.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_kit::outbound::{FixedResolver, Guard, Limits, Outbound, TrustAnchors};
use serde_json::json;
use tests::{TestApp, World};
use tokio::net::TcpListener;

/// Addresses that nobody may have us connect to, as a tenant may write them.
const PRIVATE: &[&str] = &[
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://10.0.0.1/mcp",
    "http://192.168.1.1/mcp",
    "http://172.16.0.1/mcp",
    "http://100.64.0.1/mcp",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://[fd00::1]/mcp",
    "http://[fe80::1]/mcp",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
];

/// Threat 34: a tenant's server is no way into our network: refused when it is registered, refused again when we
/// connect, whatever its name has become by then.
#[tokio::test]
async fn t34_a_tenants_server_is_no_way_inside() {
    let app = TestApp::new().await;
    let mut dora = app.signed_in("dora").await;
    for (number, url) in PRIVATE.iter().enumerate() {
        let page = dora.get("/t/acme/new").await.expect(200);
        let (csrf, slug) = (page.field("csrf"), format!("inside{number}"));
        let fields = [("csrf", &*csrf), ("name", "Inside"), ("slug", &*slug), ("source", "http"), ("url", url)];
        let answer = dora.post("/t/acme/new", &fields).await;
        assert!(!answer.status.is_success() && !answer.status.is_redirection(), "{url}: {}", answer.status);
        dora.get(&format!("/t/acme/{slug}")).await.expect(404);
    }
    // What was declared is not connected to either.
    let server = "\n[[tenant.server]]\nslug = \"inside\"\nname = \"Inside\"\n\
                  upstream = { kind = \"http\", url = \"http://169.254.169.254/mcp\" }\n";
    let marker = "\n[[tenant]]\nslug = \"other\"";
    app.apply(&World::TWO_TENANTS.0.replace(marker, &format!("{server}{marker}")), false).await;
    let client = app.client("Assistant").await;
    let token = client.tokens(&mut app.signed_in("mel").await, "/t/acme/inside/mcp").await.access;
    let answer = app.call("/t/acme/inside/mcp", Some(&token), "tools/list", json!({})).await;
    assert!(answer.status.is_server_error() && !answer.body.contains("169.254"), "{answer:?}");
}

/// Threat 34: a name that is public when we look and private when we connect is refused at the connection.
#[tokio::test]
async fn t34_a_name_that_changes_is_refused_when_we_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let public: IpAddr = [93, 184, 216, 34].into();
    let resolver =
        FixedResolver::new().with("rebinding.example", &[public]).with("rebinding.example", &[[127, 0, 0, 1].into()]);
    let outbound = Outbound::new(Guard::default(), TrustAnchors::none(), Arc::new(resolver));
    let limits = Limits { total: Duration::from_secs(2), body: 1024 };
    for _ in 0..3 {
        let request = Request::get(format!("http://rebinding.example:{port}/")).body(Bytes::new()).expect("a request");
        outbound.fetch(request, limits).await.expect_err("it goes nowhere");
    }
    let seen = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(seen.is_err(), "somebody connected");
}
