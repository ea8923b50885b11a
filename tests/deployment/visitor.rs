//! Somebody out there, who reaches the installation over TLS by its name.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tests::{Answer, Site};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

/// The name of the installation.
pub(crate) const NAME: &str = "portico.test";

/// A visitor at an address of this machine, with HTTP/1.1 and one request per connection.
#[derive(Clone)]
pub(crate) struct Visitor {
    from: Ipv4Addr,
    to: SocketAddr,
    tls: TlsConnector,
}

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.from, self.to)
    }
}

impl Visitor {
    /// One who trusts this authority only.
    pub(crate) fn new(from: Ipv4Addr, port: u16, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        Self { from, to: ([127, 0, 0, 1], port).into(), tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Whether the name has a certificate there by now.
    pub(crate) fn shakes_hands(&self) -> bool {
        let name = NAME.try_into().expect("a name");
        let connection = ClientConnection::new(Arc::clone(self.tls.config()), name);
        let stream = TcpStream::connect(self.to);
        let (Ok(mut connection), Ok(mut stream)) = (connection, stream) else { return false };
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        true
    }

    /// Sends a request; the answer's body can still be coming.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response<Incoming>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((IpAddr::V4(self.from), 0).into())?;
        let stream = self.tls.connect(NAME.try_into()?, socket.connect(self.to).await?).await.context("TLS")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, NAME);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(sender.send_request(request.body(Full::<Bytes>::from(body.to_owned()))?).await?)
    }
}

#[async_trait]
impl Site for Visitor {
    async fn try_send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let whole = async {
            let (parts, body) = self.open(method, path, headers, body).await?.into_parts();
            let body = String::from_utf8(body.collect().await?.to_bytes().into())?;
            anyhow::Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        tokio::time::timeout(Duration::from_secs(20), whole).await.context("no answer in time")?
    }
}
