use super::*;

async fn answered(answer: &str) -> Result<String, UpstreamError> {
    let (server, upstream) = (Server::start().await, upstream());
    let exchange = async { text(send(&upstream, call(&server)).await?).await };
    let (text, ()) = tokio::join!(exchange, async {
        // Gone when it has answered: what is unfinished then stays so.
        drop(server.answer(answer).await);
    });
    text
}

#[tokio::test]
async fn events_are_passed_on_one_by_one() {
    let (server, upstream) = (Server::start().await, upstream());
    let (response, (mut peer, _)) = tokio::join!(send(&upstream, call(&server)), server.answer(STREAM));
    let mut body = response.unwrap().into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        peer.write(&chunk(event)).await;
        // The next one is not written before this one has arrived.
        assert_eq!(next(&mut body).await.unwrap().unwrap(), event);
    }
    peer.write("0\r\n\r\n").await;
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn bodies_end_in_every_legal_way() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone", "gone"),
    ] {
        assert_eq!(answered(answer).await.unwrap(), expected, "{answer}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    assert_eq!(answered(&format!("{interim}{OK}")).await.unwrap(), "{}");
}

#[tokio::test]
async fn an_upstream_that_dies_breaks_the_answer() {
    for answer in [
        String::new(),
        "HTTP/1.1 200 OK\r\ncontent-le".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel".to_owned(),
        format!("{STREAM}{}", chunk("data: 1\n\n")),
        format!("{STREAM}ff\r\ndata"),
    ] {
        let broken = answered(&answer).await;
        assert!(matches!(broken, Err(UpstreamError::Unreachable(_))), "{answer:?}: {broken:?}");
    }
}

#[tokio::test]
async fn what_came_before_the_break_is_passed_on() {
    let (server, upstream) = (Server::start().await, upstream());
    let (response, (mut peer, _)) = tokio::join!(send(&upstream, call(&server)), server.answer(STREAM));
    let mut body = response.unwrap().into_body();
    peer.write(&chunk("data: 1\n\n")).await;
    drop(peer);
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
    assert!(matches!(next(&mut body).await, Some(Err(UpstreamError::Unreachable(_)))));
}

#[tokio::test]
async fn what_is_not_http_makes_no_sense() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ] {
        let nonsense = answered(answer).await;
        assert!(matches!(nonsense, Err(UpstreamError::Nonsense(_))), "{answer:?}: {nonsense:?}");
    }
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    let refused = answered_by_force(&large).await;
    assert!(matches!(refused, Err(UpstreamError::TooLarge)), "{refused:?}");
}

/// As [`answered`], but the other side may hang up before all is written.
async fn answered_by_force(answer: &str) -> Result<String, UpstreamError> {
    let (server, upstream) = (Server::start().await, upstream());
    let exchange = async { text(send(&upstream, call(&server)).await?).await };
    let (text, ()) = tokio::join!(exchange, async {
        let mut peer = server.accept().await;
        peer.request().await;
        let _ = peer.0.write_all(answer.as_bytes()).await;
    });
    text
}

#[tokio::test]
async fn silence_has_limits() {
    let short = Duration::from_millis(100);
    let long = Duration::from_mins(1);
    let head = HttpLimits { head: short, ..limits() };
    let body = HttpLimits { body_idle: short, stream_idle: long, ..limits() };
    let stream = HttpLimits { body_idle: long, stream_idle: short, ..limits() };
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\nhel";
    for (limits, answer) in [(head, ""), (body, half), (stream, STREAM)] {
        let (server, upstream) = (Server::start().await, upstream_with(limits));
        let exchange = async { text(send(&upstream, call(&server)).await?).await };
        let serve = async {
            let (mut peer, _) = server.answer(answer).await;
            peer.closed().await;
        };
        let (text, ()) = tokio::join!(exchange, serve);
        assert!(matches!(text, Err(UpstreamError::TimedOut)), "{answer:?}: {text:?}");
    }
}

/// A client that takes its time is not the upstream's silence.
#[tokio::test]
async fn a_slow_reader_is_not_silence() {
    let limits = HttpLimits { stream_idle: Duration::from_millis(200), ..limits() };
    let (server, upstream) = (Server::start().await, upstream_with(limits));
    let (response, (mut peer, _)) = tokio::join!(send(&upstream, call(&server)), server.answer(STREAM));
    let mut body = response.unwrap().into_body();
    let (first, ()) = tokio::join!(next(&mut body), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.write(&chunk("data: 1\n\n")).await;
    });
    assert_eq!(first.unwrap().unwrap(), "data: 1\n\n");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (second, ()) = tokio::join!(next(&mut body), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.write(&chunk("data: 2\n\n")).await;
    });
    assert_eq!(second.unwrap().unwrap(), "data: 2\n\n");
}
