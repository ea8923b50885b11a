//! Hosts of client metadata documents: https on public-looking names, by an authority that the platform trusts.

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use http_kit::outbound::Resolve;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use tempfile::TempDir;
use tests::{TestApp, World};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// How one URL is answered.
#[derive(Clone)]
pub(crate) enum Reply {
    /// With these bytes.
    Bytes(Vec<u8>),
    /// Not within any time that somebody waits.
    Never,
}

impl Reply {
    /// An answer of this status, with these headers.
    pub(crate) fn of(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }

    /// A document.
    pub(crate) fn json(document: &Value) -> Self {
        Self::of("200 OK", "content-type: application/json\r\n", document.to_string().as_bytes())
    }
}

#[derive(Default)]
struct Shared {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<String>>,
    /// What else names resolve to.
    besides: Mutex<HashMap<String, IpAddr>>,
}

/// The hosts, on one port.
pub(crate) struct DocumentHost {
    shared: Arc<Shared>,
    port: u16,
    authority: TempDir,
}

/// Every name is one of the hosts, as far as anybody can connect to it.
struct Names(Arc<Shared>, u16);

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // The hosts are where documents are, at port 443; the test has another one.
        let mut addresses = vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), if port == 443 { self.1 } else { port })];
        let besides = self.0.besides.lock().expect("no holder panics").get(host).copied();
        addresses.extend(besides.map(|ip| SocketAddr::new(ip, port)));
        Ok(addresses)
    }
}

impl DocumentHost {
    /// Listens, under these names.
    pub(crate) async fn start(names: &[&str]) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &authority).expect("signed");
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a certificate and its key");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (shared, acceptor) = (Arc::<Shared>::default(), TlsAcceptor::from(Arc::new(config)));
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(answer(Arc::clone(&serving), acceptor.clone(), tcp));
            }
        });
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("ca.pem"), authority.as_ref().pem()).expect("a file");
        Self { shared, port, authority: directory }
    }

    /// A platform that trusts these hosts.
    pub(crate) async fn app(&self, config: &str) -> TestApp {
        let trust = format!("outbound.ca_file = \"{}\"\n", self.authority.path().join("ca.pem").display());
        let names = Arc::new(Names(Arc::clone(&self.shared), self.port));
        TestApp::reaching(World::TWO_TENANTS, &(trust + config), names).await
    }

    /// Says what a URL answers from now on.
    pub(crate) fn put(&self, url: &str, reply: Reply) {
        self.shared.replies.lock().expect("no holder panics").insert(url.to_owned(), reply);
    }

    /// A name that resolves to another address as well.
    pub(crate) fn also_at(&self, name: &str, address: IpAddr) {
        self.shared.besides.lock().expect("no holder panics").insert(name.to_owned(), address);
    }

    /// The URLs that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("no holder panics").clone()
    }
}

async fn answer(shared: Arc<Shared>, acceptor: TlsAcceptor, tcp: TcpStream) {
    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match tls.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).expect("a head is text");
    let path = head.split(' ').nth(1).unwrap_or_default();
    let host = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(ToOwned::to_owned));
    let url = format!("https://{}{path}", host.unwrap_or_default());
    shared.asked.lock().expect("no holder panics").push(url.clone());
    let reply = shared.replies.lock().expect("no holder panics").get(&url).cloned();
    match reply.unwrap_or_else(|| Reply::of("404 Not Found", "", b"")) {
        Reply::Bytes(bytes) => {
            // Whoever has read enough goes away.
            let _ = tls.write_all(&bytes).await;
            let _ = tls.shutdown().await;
        }
        Reply::Never => tokio::time::sleep(Duration::from_mins(1)).await,
    }
}
