//! `deploy/Caddyfile`, read and run by Caddy.

use std::{fs, net::Ipv4Addr, path::PathBuf, process::Command, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use http::{Method, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use services::{Port, Service, caddy_program};
use tests::{Browser, Client, Live, Site, modern};
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    documents::{HOST, read, root, run, text},
    program::{Container, port},
    visitor::{NAME, Visitor},
};

fn caddy() -> PathBuf {
    caddy_program().expect("no Caddy here: `cargo xtask test` fetches it")
}

#[test]
fn caddy_understands_the_file_and_would_not_write_it_otherwise() {
    let file = root().join("deploy/Caddyfile");
    for host in [HOST, "localhost"] {
        let checked = run(Command::new(caddy())
            .args(["validate", "--adapter", "caddyfile", "--config"])
            .arg(&file)
            .env("PUBLIC_HOST", host));
        let said = text(&checked.stderr);
        assert!(checked.status.success() && !said.contains("\"warn\"") && !said.contains("\"error\""), "{said}");
    }
    let written = run(Command::new(caddy()).arg("fmt").arg(&file));
    assert_eq!(text(&written.stdout), read("deploy/Caddyfile"));
}

/// A front with the file as it is, but for names and ports of this machine and an authority of its own.
struct Front {
    caddy: Service,
    tls: Port,
    plain: Port,
    health: Port,
}

impl Front {
    /// In front of a port.
    fn start(of: &Port) -> Self {
        let (tls, plain, health) = (port(), port(), port());
        let mut file = read("deploy/Caddyfile");
        for (from, to) in [
            ("https_port 8443", format!("https_port {}", tls.number())),
            ("http_port 8080", format!("http_port {}", plain.number())),
            ("http://127.0.0.1:9180", format!("http://127.0.0.1:{}", health.number())),
            ("reverse_proxy portico:8080", format!("reverse_proxy {}", of.address())),
            // Nobody here could get a certificate for the name.
            ("\tskip_install_trust\n", "\tskip_install_trust\n\tlocal_certs\n".to_owned()),
            // Nobody here waits for what never comes.
            ("lb_try_duration 10s", "lb_try_duration 500ms".to_owned()),
        ] {
            assert_eq!(file.matches(from).count(), 1, "{from}");
            file = file.replace(from, &to);
        }
        let home = tempfile::Builder::new().prefix("caddy").tempdir_in("/tmp").expect("a directory");
        let path = home.path().join("Caddyfile");
        fs::write(&path, file).expect("a file");
        let mut command = Command::new("env");
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.arg(format!("{variable}={}", home.path().display()));
        }
        command.arg(format!("PUBLIC_HOST={NAME}")).arg(caddy()).args(["run", "--adapter", "caddyfile", "--config"]);
        let caddy = Service::start("caddy", home, "TERM", command.arg(&path)).expect("it starts");
        let new = Self { caddy, tls, plain, health };
        new.await_certificate()
    }

    fn authority(&self) -> PathBuf {
        self.caddy.home().join("caddy/pki/authorities/local/root.crt")
    }

    fn await_certificate(mut self) -> Self {
        let (authority, tls, health) = (self.authority(), self.tls.number(), self.health.address());
        // It listens before it has made its authority, and that before it has the certificate.
        let ready = self.caddy.wait(|| {
            fs::read_to_string(&authority).is_ok_and(|pem| pem.trim_end().ends_with("-----END CERTIFICATE-----"))
                && std::net::TcpStream::connect(health).is_ok()
                && Visitor::new(Ipv4Addr::LOCALHOST, tls, &authority).shakes_hands()
        });
        ready.unwrap_or_else(|error| panic!("{error:#}"));
        self
    }

    /// Somebody at an address.
    fn visitor(&self, from: Ipv4Addr) -> Visitor {
        Visitor::new(from, self.tls.number(), &self.authority())
    }
}

/// A platform with a person, the demo, and a server `slow` at a port, as its container runs it.
pub(crate) fn platform(upstream: u16) -> (Container, Service, Port) {
    let port = port();
    let variables = [
        ("BASE_URL", format!("https://{NAME}")),
        ("LISTEN", port.address().to_string()),
        ("TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
        ("OUTBOUND__ALLOW", format!("127.0.0.1:{upstream}")),
        ("LOG__FORMAT", "json".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (format!("PORTICO_{name}"), value));
    let mut container = Container::new(variables.into());
    container.volume("PORTICO_DATA");
    fs::write(container.path("mel.password"), "password of mel").expect("a password");
    fs::write(container.path("state.toml"), WORLD.replace("PORT", &upstream.to_string())).expect("a declaration");
    let applied = container.output(&["apply", "--file", &container.path("state.toml").display().to_string()]);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let service = container.serve();
    (container, service, port)
}

const WORLD: &str = r#"
[[user]]
name = "mel"
email = "mel@example.com"
password_file = "mel.password"

[[tenant]]
slug = "acme"
name = "Acme"
members = [{ user = "mel", role = "owner" }]

[[tenant.server]]
slug = "demo"
name = "Demo"
upstream = { kind = "builtin", name = "demo" }

[[tenant.server]]
slug = "slow"
name = "Slow"
upstream = { kind = "http", url = "http://127.0.0.1:PORT/mcp" }
"#;

/// An upstream whose stream goes on when it is told to; its port.
pub(crate) async fn slow(go_on: Arc<Notify>) -> u16 {
    let stream = move || {
        let go_on = Arc::clone(&go_on);
        async move {
            let progress = json!({
                "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": 1, "progress": 0.5 },
            });
            let result = json!({ "jsonrpc": "2.0", "id": 1, "result": { "resultType": "complete", "content": [] } });
            let first = futures_util::stream::once(async move { format!("data: {progress}\n\n") });
            let last = futures_util::stream::once(async move {
                go_on.notified().await;
                format!("data: {result}\n\n")
            });
            let events = futures_util::StreamExt::chain(first, last);
            let events = futures_util::StreamExt::map(events, Ok::<_, std::convert::Infallible>);
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = axum::serve(listener, Router::new().route("/mcp", post(stream)));
    tokio::spawn(async move { serve.await });
    port
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_and_a_client_come_through_it() {
    let go_on = Arc::new(Notify::new());
    let (_container, _portico, port) = platform(slow(Arc::clone(&go_on)).await);
    let front = Front::start(&port);
    let visitor = front.visitor(Ipv4Addr::LOCALHOST);
    come_through(&visitor, &go_on).await;
    let page = (&visitor as &dyn Site).send(Method::GET, "/login", &[], "").await;
    assert_eq!(page.header("server"), None);
}

/// A sign-in, a registration, a call, and a stream whose second event waits until the first is here.
pub(crate) async fn come_through(visitor: &Visitor, go_on: &Notify) {
    let site: &dyn Site = visitor;

    // Cookies that are for TLS only, forms whose origin is looked at, URLs that are made from the configuration.
    let mut mel = Browser::new(site);
    mel.sign_in("mel").await;
    let client = Client::register(site, "Assistant").await;
    let tokens = client.tokens(&mut mel, "/t/acme/demo/mcp").await;
    let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
    let answer = site.call("/t/acme/demo/mcp", Some(&tokens.access), "tools/call", params).await.expect(200);
    assert!(answer.body.contains("\"5\""), "{}", answer.body);
    let challenge = site.call("/t/acme/demo/mcp", None, "tools/list", json!({})).await.expect(401);
    let metadata = format!("https://{NAME}/.well-known/oauth-protected-resource/t/acme/demo/mcp");
    assert!(challenge.header("www-authenticate").expect("a challenge").contains(&metadata), "{challenge:?}");
    assert_eq!(challenge.header("strict-transport-security"), Some("max-age=31536000"));

    // The first event is here while the upstream still waits to send the second.
    let tokens = client.tokens(&mut mel, "/t/acme/slow/mcp").await;
    let (mut headers, body) = modern("tools/call", json!({ "name": "wait", "arguments": {} }));
    headers.push(("authorization", format!("Bearer {}", tokens.access)));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let stream = visitor.open(Method::POST, "/t/acme/slow/mcp", &headers, &body);
    let stream = tokio::time::timeout(PATIENCE, stream).await.expect("a head").expect("an answer");
    assert_eq!(
        (stream.status().as_u16(), &stream.headers()["content-type"]),
        (200, &"text/event-stream".parse().expect("a header"))
    );
    let mut stream = stream.into_body();
    let first = event(&mut stream).await;
    assert!(first.contains("notifications/progress"), "{first}");
    go_on.notify_one();
    let last = event(&mut stream).await;
    assert!(last.contains("complete"), "{last}");
}

/// What comes next of a stream.
async fn event(stream: &mut hyper::body::Incoming) -> String {
    let frame = tokio::time::timeout(PATIENCE, stream.frame()).await.expect("an event in time");
    let bytes: Bytes = frame.expect("the stream goes on").expect("it is whole").into_data().expect("data");
    text(&bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitors_address_is_the_one_that_the_front_sees() {
    let (_container, portico, port) = platform(1);
    let front = Front::start(&port);
    assert_address(&front.visitor(ELSEWHERE), &portico).await;
}

/// An address that is no proxy's.
pub(crate) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Whatever a visitor claims, the log has where it came from.
pub(crate) async fn assert_address(visitor: &Visitor, portico: &Service) {
    let claims = [("x-forwarded-for", "6.6.6.6"), ("x-real-ip", "6.6.6.7"), ("forwarded", "for=6.6.6.8")];
    (visitor as &dyn Site).send(Method::GET, "/login", &claims, "").await.expect(200);
    let log = portico.output();
    let line = log.lines().find(|line| line.contains("\"/login\"")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(&format!("\"{ELSEWHERE}\"")), "{line}");
    assert!(!log.contains("6.6.6."), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_one_is_sent_to_where_it_is() {
    let front = Front::start(&port());
    let plain = Live::at(front.plain.number(), PATIENCE);
    let answer = (&plain as &dyn Site).send(Method::GET, "/login?x=1", &[("host", NAME)], "").await;
    assert_eq!((answer.status.as_u16(), answer.location()), (308, &*format!("https://{NAME}/login?x=1")));
    let health = Live::at(front.health.number(), PATIENCE);
    let host = format!("127.0.0.1:{}", front.health.number());
    (&health as &dyn Site).send(Method::GET, "/", &[("host", &host)], "").await.expect(200);
}

/// What the front says when Portico is away must not be what a person just got from an identity provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_log_has_no_codes() {
    let front = Front::start(&port());
    let visitor = front.visitor(Ipv4Addr::LOCALHOST);
    let headers = [("cookie", "__Host-session=a-cookie"), ("x-secret", "a-header")];
    let site: &dyn Site = &visitor;
    site.send(Method::GET, "/oauth/callback/con_1?code=a-code&state=a-state", &headers, "").await.expect(502);
    let log = front.caddy.output();
    assert!(log.contains("/oauth/callback/con_1?…"), "the error is not there at all: {log}");
    for secret in ["a-code", "a-state", "a-cookie", "a-header"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
