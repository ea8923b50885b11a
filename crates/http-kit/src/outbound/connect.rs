use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{client::legacy::connect::Connected, rt::TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, sync::OnceCell, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::{Host, Url};

use super::{Guard, OutboundError, Resolve, TrustAnchors};

/// For resolving, connecting and the TLS handshake together.
const CONNECT: Duration = Duration::from_secs(10);
/// For one of several addresses.
const CONNECT_ONE: Duration = Duration::from_secs(3);
/// How many addresses of a host are tried.
const TRIES: usize = 4;
/// After so long a silence the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// Connects to hosts that the guard allows. Cheap to clone.
///
/// Invariant: the addresses that were checked are the ones that are connected to; a name is resolved once
/// for both.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    guard: Guard,
    anchors: TrustAnchors,
    resolver: Arc<dyn Resolve>,
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn new(guard: Guard, anchors: TrustAnchors, resolver: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner { guard, anchors, resolver, tls: OnceCell::new() }))
    }

    /// Connects to the host and port of `url`, with TLS when it is https.
    pub async fn connect(&self, url: &Url) -> Result<Connection, OutboundError> {
        timeout(CONNECT, self.connect_unbounded(url)).await.map_err(|_| OutboundError::TimedOut)?
    }

    /// Whether [`Self::connect`] would find an allowed address now: for telling a person early. It is no
    /// replacement for the check at connect time, since the name may resolve to something else by then.
    pub async fn check(&self, url: &Url) -> Result<(), OutboundError> {
        let resolving = self.addresses(url);
        timeout(CONNECT, resolving).await.map_err(|_| OutboundError::TimedOut)?.map(drop)
    }

    async fn connect_unbounded(&self, url: &Url) -> Result<Connection, OutboundError> {
        let tcp = first_to_answer(&self.addresses(url).await?).await?;
        tcp.set_nodelay(true).map_err(OutboundError::unreachable)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
        socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive).map_err(OutboundError::unreachable)?;
        if url.scheme() == "http" {
            return Ok(Connection::Plain(TokioIo::new(tcp)));
        }
        let name = server_name(url)?;
        let tls = TlsConnector::from(self.tls().await?).connect(name, tcp).await;
        // A connection that breaks off in the handshake is as unusable as a wrong certificate.
        let tls = tls.map_err(|error| OutboundError::Tls(error.into()))?;
        Ok(Connection::Tls(Box::new(TokioIo::new(tls))))
    }

    /// The addresses of the URL's host, all of which the guard allows.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, OutboundError> {
        check_url(url)?;
        let port = url.port_or_known_default().ok_or(OutboundError::Url("it has no port"))?;
        let addresses = match url.host() {
            Some(Host::Ipv4(ip)) => vec![SocketAddr::new(ip.into(), port)],
            Some(Host::Ipv6(ip)) => vec![SocketAddr::new(ip.into(), port)],
            Some(Host::Domain(name)) => {
                self.0.resolver.resolve(name, port).await.map_err(OutboundError::unreachable)?
            }
            None => return Err(OutboundError::Url("it has no host")),
        };
        // One address that is not allowed spoils the name: a host that is public and private at once is
        // how rebinding begins.
        if !addresses.iter().all(|address| self.0.guard.allows(*address)) {
            return Err(OutboundError::Forbidden);
        }
        Ok(addresses)
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, OutboundError> {
        let load = async {
            let anchors = self.0.anchors.clone();
            let loaded = tokio::task::spawn_blocking(move || anchors.config()).await;
            loaded.map_err(|error| OutboundError::Tls(error.into()))?.map_err(OutboundError::Tls)
        };
        self.0.tls.get_or_try_init(|| load).await.cloned()
    }
}

/// Refuses URLs that we do not fetch, whatever they resolve to.
pub(super) fn check_url(url: &Url) -> Result<(), OutboundError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(OutboundError::Url("it is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OutboundError::Url("it has user information in it"));
    }
    Ok(())
}

fn server_name(url: &Url) -> Result<ServerName<'static>, OutboundError> {
    match url.host() {
        Some(Host::Domain(name)) => {
            // The final dot of an absolute name is not part of a certificate's name (RFC 6066 §3).
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).map_err(|_| OutboundError::Url("its host is no DNS name"))
        }
        Some(Host::Ipv4(ip)) => Ok(ServerName::IpAddress(ip.into())),
        Some(Host::Ipv6(ip)) => Ok(ServerName::IpAddress(ip.into())),
        None => Err(OutboundError::Url("it has no host")),
    }
}

/// Tries addresses one after another.
async fn first_to_answer(addresses: &[SocketAddr]) -> Result<TcpStream, OutboundError> {
    let mut last = OutboundError::unreachable(io::Error::from(io::ErrorKind::NotFound));
    for address in addresses.iter().take(TRIES) {
        match timeout(CONNECT_ONE, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = OutboundError::unreachable(error),
            Err(_) => last = OutboundError::TimedOut,
        }
    }
    Err(last)
}

/// A connection to a host that the guard allowed.
#[derive(Debug)]
pub enum Connection {
    /// Of an http URL.
    Plain(TokioIo<TcpStream>),
    /// Of an https URL.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }
}

impl hyper_util::client::legacy::connect::Connection for Connection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
