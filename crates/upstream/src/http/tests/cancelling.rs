use super::*;

const DRAIN: Drain = Drain { bytes: 1024, time: Duration::from_secs(5), places: 1 };

/// Sends the call in a task of its own, as a client's request is.
fn spawn(
    exchange: impl Future<Output = Result<Answer, UpstreamError>> + Send + 'static,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let _answer = exchange.await;
        std::future::pending::<()>().await;
    })
}

fn plain(server: &Server) -> impl Future<Output = Result<Answer, UpstreamError>> + Send + 'static {
    let call = call(server);
    async move { upstream().exchange(call).await }
}

fn lasting(server: &Server, limit: Drain) -> Uncancelled {
    uncancelled(Arc::new(upstream()), call(server), &Drains::new(limit))
}

#[tokio::test]
async fn dropping_an_exchange_hangs_up() {
    let server = Server::start().await;
    let client = spawn(plain(&server));
    let mut peer = server.accept().await;
    peer.request().await;
    peer.stays_open().await;
    client.abort();
    peer.closed().await;
}

#[tokio::test]
async fn dropping_an_answer_hangs_up() {
    let server = Server::start().await;
    let client = spawn(plain(&server));
    let (mut peer, _) = server.answer(STREAM).await;
    peer.write(&chunk("data: 1\n\n")).await;
    peer.stays_open().await;
    client.abort();
    peer.closed().await;
}

#[tokio::test]
async fn an_uncancelled_exchange_outlives_its_client() {
    let server = Server::start().await;
    let client = spawn(lasting(&server, DRAIN));
    let mut peer = server.accept().await;
    peer.request().await;
    client.abort();
    peer.stays_open().await;
    peer.write(STREAM).await;
    peer.write(&chunk("data: 1\n\n")).await;
    peer.stays_open().await;
    // Taken in to the end, and only then is the connection let go.
    peer.write("0\r\n\r\n").await;
}

#[tokio::test]
async fn an_uncancelled_answer_outlives_its_client() {
    let server = Server::start().await;
    let client = spawn(lasting(&server, DRAIN));
    let (mut peer, _) = server.answer(STREAM).await;
    peer.write(&chunk("data: 1\n\n")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.abort();
    peer.stays_open().await;
    peer.write(&chunk("data: 2\n\n")).await;
    peer.stays_open().await;
}

#[tokio::test]
async fn an_uncancelled_exchange_has_limits() {
    let brief = Drain { time: Duration::from_millis(100), ..DRAIN };
    let small = Drain { bytes: 10, ..DRAIN };
    for (limit, said) in [(brief, "data: 1\n\n"), (small, "data: more than ten bytes\n\n")] {
        let server = Server::start().await;
        let client = spawn(lasting(&server, limit));
        let (mut peer, _) = server.answer(STREAM).await;
        client.abort();
        peer.write(&chunk(said)).await;
        peer.closed().await;
    }
}

#[tokio::test]
async fn there_are_only_so_many_uncancelled_exchanges() {
    let drains = Drains::new(DRAIN);
    let (first, second) = (Server::start().await, Server::start().await);
    let start = |server: &Server| spawn(uncancelled(Arc::new(upstream()), call(server), &drains));
    let clients = [start(&first), start(&second)];
    let (mut kept, mut cancelled) = (first.accept().await, second.accept().await);
    kept.request().await;
    cancelled.request().await;
    clients[0].abort();
    kept.stays_open().await;
    clients[1].abort();
    cancelled.closed().await;
    kept.stays_open().await;
}

#[tokio::test]
async fn an_uncancelled_exchange_that_is_heard_to_the_end_is_like_any_other() {
    let server = Server::start().await;
    let (answer, _peer) = tokio::join!(lasting(&server, DRAIN), server.answer(OK));
    let Answer::Pass(response) = answer.unwrap() else { panic!("an HTTP upstream passes bytes on") };
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(2));
    assert_eq!(text(response).await.unwrap(), "{}");
}
