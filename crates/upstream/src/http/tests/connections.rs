use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

async fn pause() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}

/// Sends a call whose method only reads.
fn listing(server: &Server) -> Call {
    call_to(&format!("http://{}/mcp", server.address), Verb::Post, &[("mcp-method", "tools/list")])
}

/// Opens a connection to the server and leaves it in the pool.
async fn warm(upstream: &HttpUpstream, server: &Server) -> Peer {
    let exchange = async { text(send(upstream, call(server)).await.unwrap()).await.unwrap() };
    let (_, (peer, _)) = tokio::join!(exchange, server.answer(OK));
    peer
}

#[tokio::test]
async fn a_connection_serves_one_exchange_after_another() {
    let (server, upstream) = (Server::start().await, upstream());
    let mut peer = warm(&upstream, &server).await;
    for answer in [CHUNKED, ACCEPTED, OK, CHUNKED] {
        let exchange = async { text(send(&upstream, call(&server)).await.unwrap()).await.unwrap() };
        let serve = async {
            // On the connection that is there: nothing accepts another one.
            peer.request().await;
            peer.write(answer).await;
        };
        timeout(Duration::from_secs(5), async { tokio::join!(exchange, serve) })
            .await
            .expect("the connection is reused");
    }
}

/// Who knows a body's length does not ask for its end; the connection goes back all the same.
#[tokio::test]
async fn a_body_of_known_length_returns_its_connection_with_its_last_byte() {
    let (server, upstream) = (Server::start().await, upstream());
    let (response, (mut peer, _)) = tokio::join!(send(&upstream, call(&server)), server.answer(OK));
    let mut body = response.unwrap().into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(2));
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "{}");
    assert!(http_body::Body::is_end_stream(&body));
    drop(body);
    peer.stays_open().await;
    let (response, ()) = tokio::join!(send(&upstream, call(&server)), async {
        peer.request().await;
        peer.write(OK).await;
    });
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test]
async fn exchanges_at_the_same_time_have_connections_of_their_own() {
    let (server, upstream) = (Server::start().await, upstream());
    let exchange = || async { text(send(&upstream, call(&server)).await.unwrap()).await.unwrap() };
    let serve = async {
        let (mut first, mut second) = (server.accept().await, server.accept().await);
        for peer in [&mut first, &mut second] {
            peer.request().await;
            peer.write(OK).await;
        }
        (first, second)
    };
    let (one, two, _peers) = tokio::join!(exchange(), exchange(), serve);
    assert_eq!((&*one, &*two), ("{}", "{}"));
}

#[tokio::test]
async fn a_tenant_never_uses_the_connection_of_another() {
    let (server, upstream) = (Server::start().await, upstream());
    let mut first = warm(&upstream, &server).await;
    let mut call = call(&server);
    Arc::make_mut(&mut call.server).tenant = TenantId::from_bytes(&[9; 16]).unwrap();
    let (response, _second) = tokio::join!(send(&upstream, call), server.answer(OK));
    assert_eq!(response.unwrap().status(), 200);
    first.stays_open().await;
}

#[tokio::test]
async fn a_connection_found_closed_is_replaced() {
    let (server, upstream) = (Server::start().await, upstream());
    drop(warm(&upstream, &server).await);
    pause().await;
    let (response, (_peer, received)) = tokio::join!(send(&upstream, call(&server)), server.answer(OK));
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(received.body, "{\"id\":1}");
}

/// The upstream may have acted on a call that it read; only the client may decide to call again.
#[tokio::test]
async fn a_call_that_was_read_is_not_repeated() {
    let (server, upstream) = (Server::start().await, upstream());
    let mut peer = warm(&upstream, &server).await;
    let (response, ()) = tokio::join!(send(&upstream, call(&server)), async {
        peer.request().await;
        drop(peer);
    });
    assert!(matches!(response, Err(UpstreamError::Unreachable(_))));
    assert!(timeout(Duration::from_millis(100), server.accept()).await.is_err(), "it came again");
}

#[tokio::test]
async fn a_question_that_was_read_is_repeated_once_on_a_fresh_connection() {
    let (server, upstream) = (Server::start().await, upstream());
    let mut peer = warm(&upstream, &server).await;
    let (response, again) = tokio::join!(send(&upstream, listing(&server)), async {
        peer.request().await;
        drop(peer);
        server.answer(OK).await
    });
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(again.1.body, "{\"id\":1}");

    // A fresh connection that breaks is an answer in itself.
    let other = Server::start().await;
    let (response, ()) = tokio::join!(send(&upstream, listing(&other)), async {
        other.accept().await.request().await;
    });
    assert!(matches!(response, Err(UpstreamError::Unreachable(_))));
    assert!(timeout(Duration::from_millis(100), other.accept()).await.is_err(), "it came again");
}

#[tokio::test]
async fn what_an_upstream_says_unasked_ends_the_connection() {
    let (server, upstream) = (Server::start().await, upstream());
    let mut peer = warm(&upstream, &server).await;
    // An answer to a request that is still to come would be given to whoever comes next.
    peer.write(OK).await;
    pause().await;
    let (response, (_peer, _)) = tokio::join!(send(&upstream, call(&server)), server.answer(CHUNKED));
    assert_eq!(text(response.unwrap()).await.unwrap(), "{}");
    peer.closed().await;
}

#[tokio::test]
async fn unused_connections_are_closed() {
    let keep = Duration::from_millis(50);
    let (server, upstream) = (Server::start().await, upstream_with(HttpLimits { keep, ..limits() }));
    let mut peer = warm(&upstream, &server).await;
    tokio::time::sleep(keep * 2).await;
    close_idle();
    peer.closed().await;

    let mut peer = warm(&upstream, &server).await;
    tokio::time::sleep(keep * 2).await;
    let (response, _fresh) = tokio::join!(send(&upstream, call(&server)), server.answer(OK));
    assert_eq!(response.unwrap().status(), 200);
    peer.closed().await;
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let (server, upstream) = (Server::start().await, upstream_with(HttpLimits { max_idle: 1, ..limits() }));
    let exchange = || async { text(send(&upstream, call(&server)).await.unwrap()).await.unwrap() };
    let serve = async {
        let (mut first, mut second) = (server.accept().await, server.accept().await);
        for peer in [&mut first, &mut second] {
            peer.request().await;
            peer.write(OK).await;
        }
        (first, second)
    };
    let (_, _, (mut first, mut second)) = tokio::join!(exchange(), exchange(), serve);
    let closed = async |peer: &mut Peer| timeout(Duration::from_millis(200), peer.0.read(&mut [0; 1])).await.is_ok();
    let (first, second) = (closed(&mut first).await, closed(&mut second).await);
    assert!(first != second, "one of them is kept: {first} {second}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_unreachable() {
    let gone = Server::start().await.address;
    let calls = [format!("http://{gone}/"), "http://unknown.example/".to_owned()];
    for url in calls {
        let refused = send(&upstream(), call_to(&url, Verb::Post, &[])).await;
        assert!(matches!(refused, Err(UpstreamError::Unreachable(_))), "{url}: {:?}", refused.err());
    }
}
