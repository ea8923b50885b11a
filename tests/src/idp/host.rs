//! A router on a loopback port, for as long as its handle lives.

use std::net::Ipv4Addr;

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};

/// A listener that has a port and no routes yet: providers name their own address in what they serve.
pub(super) struct Bound(TcpListener, u16);

/// A running server.
#[derive(Debug)]
pub(super) struct Host(JoinHandle<()>);

impl Bound {
    /// Takes a free port.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self(listener, port))
    }

    /// For requests from server to server.
    pub(super) fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.1)
    }

    /// For the browser: another site than `127.0.0.1`, so that cookies meet what they meet on the web.
    pub(super) fn site(&self) -> String {
        format!("http://localhost:{}", self.1)
    }

    /// Serves until the handle is dropped.
    pub(super) fn serve(self, router: Router) -> Host {
        Host(tokio::spawn(async move {
            axum::serve(self.0, router).await.expect("a bound listener accepts");
        }))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.0.abort();
    }
}
