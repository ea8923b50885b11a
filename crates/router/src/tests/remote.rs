use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::mpsc};

type RemoteBody = UnsyncBoxBody<Bytes, std::io::Error>;
type Handler = dyn Fn(&Request<Bytes>) -> Response<RemoteBody> + Send + Sync;

/// A remote MCP server: a real one over HTTP, as far as the gateway can tell.
pub(super) struct Remote {
    pub(super) url: String,
    /// What it was sent.
    pub(super) received: Arc<Mutex<Vec<Request<Bytes>>>>,
}

/// Whole answers.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<RemoteBody> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from(body).map_err(|never| match never {}).boxed_unsync()).unwrap()
}

/// JSON.
pub(super) fn json(body: &'static str) -> Response<RemoteBody> {
    answer(200, &[("content-type", "application/json")], body)
}

/// An answer that is written piece by piece; `Err` breaks it off. The sender learns when nobody reads any more.
pub(super) fn pieces(content_type: &str) -> (mpsc::Sender<Result<Bytes, std::io::Error>>, Response<RemoteBody>) {
    let (pieces, mut rest) = mpsc::channel::<Result<Bytes, std::io::Error>>(8);
    let stream = futures_util::stream::poll_fn(move |cx| rest.poll_recv(cx));
    let body = StreamBody::new(stream.map(|piece| piece.map(Frame::data))).boxed_unsync();
    (pieces, Response::builder().header("content-type", content_type).body(body).unwrap())
}

impl Remote {
    /// A server that answers with `handler`.
    pub(super) async fn start(
        handler: impl Fn(&Request<Bytes>) -> Response<RemoteBody> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(listener, Arc::new(handler), Arc::clone(&received)));
        Self { url, received }
    }

    /// The last request it was sent.
    pub(super) fn last(&self) -> Request<Bytes> {
        self.received.lock().unwrap().last().cloned().expect("it was asked")
    }

    pub(super) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

async fn serve(listener: TcpListener, handler: Arc<Handler>, received: Arc<Mutex<Vec<Request<Bytes>>>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (handler, received) = (Arc::clone(&handler), Arc::clone(&received));
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, received) = (Arc::clone(&handler), Arc::clone(&received));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let request = Request::from_parts(parts, body);
                let response = handler(&request);
                received.lock().unwrap().push(request);
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await) });
    }
}
