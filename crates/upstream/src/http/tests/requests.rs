use super::*;

#[tokio::test]
async fn sends_the_chosen_headers_and_its_own() {
    let (server, upstream) = (Server::start().await, upstream());
    let url = format!("http://upstream.example:{}/mcp?key=1", server.address.port());
    let call = call_to(&url, Verb::Post, &[("mcp-method", "tools/call"), ("mcp-session-id", "abc")]);
    let (answer, (_peer, received)) = tokio::join!(send(&upstream, call), server.answer(OK));
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(text(answer).await.unwrap(), "{}");
    assert_eq!((&*received.line, &*received.body), ("POST /mcp?key=1 HTTP/1.1", "{\"id\":1}"));
    let expected = [
        "accept: application/json, text/event-stream".to_owned(),
        "content-length: 8".to_owned(),
        "content-type: application/json".to_owned(),
        format!("host: upstream.example:{}", server.address.port()),
        "mcp-method: tools/call".to_owned(),
        "mcp-session-id: abc".to_owned(),
        "portico-hops: 1".to_owned(),
        format!("user-agent: portico/{}", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(received.headers, expected);
}

/// The router never gives these; if it did, they would not travel.
#[tokio::test]
async fn drops_the_clients_secrets_and_the_connections_headers() {
    let (server, upstream) = (Server::start().await, upstream());
    let mut call = call(&server);
    for (name, value) in [
        ("authorization", "Bearer ours"),
        ("cookie", "session=1"),
        ("proxy-authorization", "Basic x"),
        ("connection", "keep-alive, X-Named, close"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("host", "evil.example"),
        ("content-length", "1"),
        ("accept", "text/html"),
        ("user-agent", "client"),
    ] {
        call.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let (answer, (_peer, received)) = tokio::join!(send(&upstream, call), server.answer(OK));
    answer.unwrap();
    let names: Vec<&str> = received.headers.iter().filter_map(|line| line.split(':').next()).collect();
    let expected = ["accept", "content-length", "content-type", "host", "mcp-method", "portico-hops", "user-agent"];
    assert_eq!(names, expected);
    assert_eq!(received.header("host"), Some(&*server.address.to_string()));
    assert_eq!(received.header("content-length"), Some("8"));
}

#[tokio::test]
async fn opens_streams_and_ends_sessions() {
    let (server, upstream) = (Server::start().await, upstream());
    let url = format!("http://{}/", server.address);
    for (verb, line, accept) in
        [(Verb::Get, "GET / HTTP/1.1", Some("text/event-stream")), (Verb::Delete, "DELETE / HTTP/1.1", None)]
    {
        let call = call_to(&url, verb, &[]);
        let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        let (response, (_peer, received)) = tokio::join!(send(&upstream, call), server.answer(answer));
        assert_eq!(response.unwrap().status(), 204);
        assert_eq!((&*received.line, received.header("accept")), (line, accept));
        assert_eq!((received.header("content-type"), &*received.body), (None, ""));
    }
}

#[tokio::test]
async fn counts_gateways_and_stops_a_loop() {
    let (server, upstream) = (Server::start().await, upstream());
    let with = |hops: &'static str| {
        let mut call = call(&server);
        call.headers.insert(HOPS, HeaderValue::from_static(hops));
        call
    };
    let (answer, (_peer, received)) = tokio::join!(send(&upstream, with("3")), server.answer(OK));
    answer.unwrap();
    assert_eq!((MAX_HOPS, received.header("portico-hops")), (4, Some("4")));

    let mut twice = with("1");
    twice.headers.append(HOPS, HeaderValue::from_static("1"));
    for call in [with("4"), with("255"), with("256"), with("-1"), with("many"), twice] {
        let refused = send(&upstream, call).await;
        assert!(matches!(refused, Err(UpstreamError::Looping)), "{:?}", refused.err());
    }
}

#[tokio::test]
async fn connects_only_where_the_guard_allows() {
    let (server, guard) = (Server::start().await, Guard::default());
    let outbound = Outbound::new(guard, TrustAnchors::none(), Arc::new(FixedResolver::new()));
    let upstream = HttpUpstream::new(outbound.connector().clone(), limits());
    let user_info = call_to("http://user:pass@8.8.8.8/mcp", Verb::Post, &[]);
    for call in [call(&server), call_to("http://169.254.169.254/", Verb::Post, &[]), user_info] {
        let refused = send(&upstream, call).await;
        assert!(matches!(refused, Err(UpstreamError::Forbidden)), "{:?}", refused.err());
    }
}
