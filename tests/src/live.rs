use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{Answer, Site};

/// The name by which every installation of the tests is reached.
const HOST: &str = "portico.test";
/// Believed by installations that trust the proxy on this machine.
const FORWARDED: &str = "x-forwarded-for";

/// Every request comes from somewhere else, so that limits per place do not limit the tests.
fn somewhere() -> String {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    let [_, a, b, c] = REQUESTS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

/// A replica of an installation behind a socket, over which it is reached as over a proxy that ends TLS.
#[derive(Clone, Debug)]
pub struct Live {
    address: SocketAddr,
    patience: Duration,
    client: Client<HttpConnector, Full<bytes::Bytes>>,
}

impl Live {
    /// What listens on a loopback port. Whole answers have to come within `patience`.
    pub fn at(port: u16, patience: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build_http();
        Self { address: ([127, 0, 0, 1], port).into(), patience, client }
    }
}

#[async_trait]
impl Site for Live {
    async fn try_send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header(header::HOST, HOST);
        }
        if headers.iter().all(|(name, _)| *name != FORWARDED) {
            request = request.header(FORWARDED, somewhere());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned()))?;
        let whole = async {
            let response = self.client.request(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = String::from_utf8(body.into()).context("text")?;
            anyhow::Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        tokio::time::timeout(self.patience, whole).await.context("no answer in time")?
    }
}
