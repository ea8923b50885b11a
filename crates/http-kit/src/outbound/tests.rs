use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::StatusCode;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;

const LIMITS: Limits = Limits { total: Duration::from_secs(5), body: 1024 };
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(93, 184, 216, 34));

/// A server that answers every request with the same bytes, and what it was asked.
struct Fixed {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Fixed {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let fixed = Self { address, connections: connections.clone(), heads: Arc::clone(&heads) };
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer_all(tcp, answer, heads.clone()));
            }
        });
        fixed
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn answer_all(mut io: impl AsyncRead + AsyncWrite + Unpin, answer: &'static str, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while let Ok(byte) = io.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            heads.lock().unwrap().push(String::from_utf8(std::mem::take(&mut head)).unwrap());
            io.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

fn outbound(guard: Guard, resolver: FixedResolver) -> Outbound {
    Outbound::new(guard, TrustAnchors::none(), Arc::new(resolver))
}

fn local() -> Outbound {
    outbound(Guard { loopback: true, ..Guard::default() }, FixedResolver::new().with("test.example", &[LOOPBACK]))
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn fetches_and_sends_nothing_that_was_not_asked_for() {
    let server = Fixed::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\r\nhi").await;
    let outbound = local();
    for _ in 0..2 {
        let url = format!("http://test.example:{}/path?q=1", server.address.port());
        let answer = outbound.fetch(get(&url), LIMITS).await.unwrap();
        assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"hi"[..]));
    }
    let heads = server.heads.lock().unwrap().clone();
    let expected = format!(
        "GET /path?q=1 HTTP/1.1\r\nuser-agent: portico/{}\r\naccept-encoding: identity\r\nhost: test.example:{}\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        server.address.port(),
    );
    assert_eq!(heads, [expected.clone(), expected], "the second request brings no cookie");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "the connection is used again");
}

/// Every way of writing an address that browsers know ends at the same check.
#[tokio::test]
async fn refuses_private_addresses_in_every_spelling() {
    let server = Fixed::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let resolver = || {
        ["localhost", "localhost.", "private.example", "both.example"].iter().fold(FixedResolver::new(), |all, name| {
            let public: &[IpAddr] = if *name == "both.example" { &[PUBLIC, LOOPBACK] } else { &[LOOPBACK] };
            all.with(name, public)
        })
    };
    let outbound = outbound(Guard::default(), resolver());
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::5efe:7f00:1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "private.example",
        "both.example",
    ] {
        let url = format!("http://{host}:{port}/");
        let fetched = outbound.fetch(get(&url), LIMITS).await;
        assert!(matches!(fetched, Err(OutboundError::Forbidden)), "{host}: {fetched:?}");
        let checked = outbound.connector().check(&Url::parse(&url).unwrap()).await;
        assert!(matches!(checked, Err(OutboundError::Forbidden)), "{host}: {checked:?}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_when_connecting() {
    let server = Fixed::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let resolver = FixedResolver::new().with("rebind.example", &[PUBLIC]).with("rebind.example", &[LOOPBACK]);
    let outbound = outbound(Guard::default(), resolver);
    let url = format!("http://rebind.example:{}/", server.address.port());
    outbound.connector().check(&Url::parse(&url).unwrap()).await.unwrap();
    let fetched = outbound.fetch(get(&url), LIMITS).await;
    assert!(matches!(fetched, Err(OutboundError::Forbidden)), "{fetched:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn our_own_listener_is_refused_where_loopback_is_allowed() {
    let server = Fixed::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let allowed = vec![server.address.to_string().parse().unwrap()];
    let guard = Guard { allowed, loopback: true, own: vec![server.address] };
    let fetched = outbound(guard, FixedResolver::new()).fetch(get(&server.url("/")), LIMITS).await;
    assert!(matches!(fetched, Err(OutboundError::Forbidden)), "{fetched:?}");
}

#[tokio::test]
async fn takes_only_plain_http_urls() {
    for url in ["http://user:pass@test.example/", "http://user@test.example/", "ftp://test.example/", "/path"] {
        let fetched = local().fetch(get(url), LIMITS).await;
        assert!(matches!(fetched, Err(OutboundError::Url(_))), "{url}: {fetched:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let target = Fixed::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url("/"));
    let server = Fixed::start(location.leak()).await;
    let answer = local().fetch(get(&server.url("/")), LIMITS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_answer_and_slow_answers_run_out_of_time() {
    let limits = Limits { total: Duration::from_millis(200), ..LIMITS };
    for slow in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let server = Fixed::start(slow).await;
        let fetched = local().fetch(get(&server.url("/")), limits).await;
        assert!(matches!(fetched, Err(OutboundError::TimedOut)), "{slow:?}: {fetched:?}");
    }
}

#[tokio::test]
async fn a_body_is_taken_up_to_its_limit() {
    let sized = |n: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n{}", "x".repeat(n));
    let chunked = |n: usize| {
        let half = format!("{:x}\r\n{}\r\n", n / 2, "x".repeat(n / 2));
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{half}{half}0\r\n\r\n")
    };
    for (answer, fits) in [(sized(1024), true), (sized(1025), false), (chunked(1024), true), (chunked(1026), false)] {
        let server = Fixed::start(answer.leak()).await;
        match local().fetch(get(&server.url("/")), LIMITS).await {
            Ok(answer) => assert!(fits && answer.body().len() == 1024),
            Err(error) => assert!(!fits && matches!(error, OutboundError::TooLarge), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn tells_apart_why_there_is_no_connection() {
    let closed = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap();
    let garbage = Fixed::start("SSH-2.0-nothing\r\n\r\n").await;
    for url in [format!("http://{closed}/"), "http://unknown.example/".into(), garbage.url("/")] {
        let fetched = local().fetch(get(&url), LIMITS).await;
        assert!(matches!(fetched, Err(OutboundError::Unreachable(_))), "{url}: {fetched:?}");
    }
    let no_tls = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("https://{}/", no_tls.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut tcp, _) = no_tls.accept().await.unwrap();
        tcp.write_all(b"SSH-2.0-nothing\r\n").await.unwrap();
        // Open until the client has seen it.
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    });
    let fetched = local().fetch(get(&url), LIMITS).await;
    assert!(matches!(fetched, Err(OutboundError::Tls(_))), "{fetched:?}");
}

#[tokio::test]
async fn tries_the_next_address_when_one_does_not_answer() {
    let server = Fixed::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let dead: IpAddr = "127.0.0.77".parse().unwrap();
    let resolver = FixedResolver::new().with("two.example", &[dead, LOOPBACK]);
    let outbound = outbound(Guard { loopback: true, ..Guard::default() }, resolver);
    let url = format!("http://two.example:{}/", server.address.port());
    assert_eq!(outbound.fetch(get(&url), LIMITS).await.unwrap().status(), StatusCode::OK);
}

/// A TLS server for `test.example` and 127.0.0.1; its authority's certificate as PEM, and its port.
async fn tls_server() -> (String, u16) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["test.example".to_owned(), LOOPBACK.to_string()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(tls) = acceptor.accept(tcp).await {
                tokio::spawn(answer_all(tls, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret", Arc::default()));
            }
        }
    });
    (authority.as_ref().pem(), port)
}

#[tokio::test]
async fn trusts_given_authorities_and_no_others() {
    let (authority, port) = tls_server().await;
    let client = |anchors| {
        let names = FixedResolver::new()
            .with("test.example", &[LOOPBACK])
            .with("test.example.", &[LOOPBACK])
            .with("other.example", &[LOOPBACK]);
        Outbound::new(Guard { loopback: true, ..Guard::default() }, anchors, Arc::new(names))
    };
    let trusting = client(TrustAnchors::none().with_pem(authority.as_bytes()).unwrap());
    for host in ["test.example", "test.example.", "127.0.0.1"] {
        let answer = trusting.fetch(get(&format!("https://{host}:{port}/")), LIMITS).await.unwrap();
        assert_eq!(&answer.body()[..], b"secret", "{host}");
    }
    let wrong_name = trusting.fetch(get(&format!("https://other.example:{port}/")), LIMITS).await;
    assert!(matches!(wrong_name, Err(OutboundError::Tls(_))), "{wrong_name:?}");

    let url = format!("https://test.example:{port}/");
    let (other, _) = tls_server().await;
    for anchors in
        [TrustAnchors::none(), TrustAnchors::none().with_pem(other.as_bytes()).unwrap(), TrustAnchors::native()]
    {
        let fetched = client(anchors).fetch(get(&url), LIMITS).await;
        assert!(matches!(fetched, Err(OutboundError::Tls(_))), "{fetched:?}");
    }
}

#[test]
fn a_file_without_certificates_is_no_file_of_anchors() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(TrustAnchors::none().with_pem(text.as_bytes()).is_err(), "{text:?}");
    }
}
