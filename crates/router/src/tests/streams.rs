use std::{io, sync::Mutex, time::Duration};

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use protocol::mcp::sse::Decoder;
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{remote::pieces, *};
use crate::Limits;

const DEMO: &str = "/t/acme/demo/mcp";
const REMOTE: &str = "/t/acme/remote/mcp";
const EVENTS: &str = "text/event-stream";
const SOON: Duration = Duration::from_secs(5);

type Pieces = mpsc::Sender<Result<Bytes, io::Error>>;

/// A remote server that answers once, in pieces that the test writes.
async fn in_pieces(content_type: &str) -> (Pieces, Remote, World) {
    let (pieces, response) = pieces(content_type);
    let response = Mutex::new(Some(response));
    let remote = Remote::start(move |_| response.lock().unwrap().take().expect("asked once")).await;
    let world = World::with(&remote.url).await;
    (pieces, remote, world)
}

fn broken() -> Result<Bytes, io::Error> {
    Err(io::ErrorKind::ConnectionReset.into())
}

fn messages(text: &str) -> Vec<Value> {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(text.as_bytes()).unwrap();
    std::iter::from_fn(|| decoder.next_event())
        .filter(protocol::mcp::sse::Event::is_message)
        .map(|event| serde_json::from_slice(&event.data).unwrap())
        .collect()
}

fn slow(token: &Value) -> Value {
    json!({ "name": "slow", "arguments": { "seconds": 0.02, "steps": 2 }, "progressToken": token })
}

#[tokio::test]
async fn the_builtin_server_streams_progress_to_both_eras() {
    let world = World::with("http://127.0.0.1:1/mcp").await;
    let (headers, modern_body) = modern("tools/call", slow(&json!(7)));
    let mut legacy_params = slow(&json!(7));
    legacy_params["_meta"] = json!({ "progressToken": 7 });
    for (headers, body, id) in
        [(headers, modern_body, json!(1)), (vec![], legacy("tools/call", &legacy_params), json!("a"))]
    {
        let got = world.ask(DEMO, Token::ALICE, &headers, &body).await;
        assert_eq!((got.header("content-type"), got.header("x-accel-buffering")), (Some(EVENTS), Some("no")));
        let messages = messages(&got.text);
        assert_eq!(messages.len(), 4, "{}", got.text);
        assert_eq!(messages[2]["params"], json!({ "progressToken": 7, "progress": 2, "total": 2 }));
        assert_eq!((&messages[3]["id"], &messages[3]["result"]["isError"]), (&id, &json!(false)));
        assert_eq!(messages[3]["result"].get("resultType").is_some(), id == json!(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_open() {
    use futures_util::StreamExt as _;
    use upstream::{Event, Outcome};
    let note = Event::Notification { method: "notifications/x".to_owned(), params: upstream::builtin::raw(&json!({})) };
    let events = futures_util::stream::iter([note]).chain(futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_secs(35)).await;
        Event::Outcome(Outcome::Complete(upstream::builtin::raw(&json!({}))))
    }));
    let shape = crate::events::Shape::Modern;
    let response = crate::events::answer(Box::pin(events), Some("1"), shape, Duration::from_secs(15)).await;
    let got = Got::of(response).await;
    assert_eq!(got.text.matches(": \n\n").count(), 2, "{}", got.text);
    assert_eq!(messages(&got.text).last().unwrap()["result"], json!({ "resultType": "complete" }));
}

#[tokio::test]
async fn events_pass_as_they_come() {
    let (pieces, _remote, world) = in_pieces(EVENTS).await;
    let (headers, body) = modern("tools/call", json!({ "name": "x" }));
    let response = world.post(REMOTE, Token::ALICE, &headers, &body).await;
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut body = response.into_body();
    for piece in ["data: {\"a\"", ":1}\n", "\n"] {
        pieces.send(Ok(piece.into())).await.unwrap();
        let frame = timeout(SOON, body.frame()).await.expect("at once").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    drop(pieces);
    assert!(timeout(SOON, body.frame()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_for_the_request() {
    let (pieces, _remote, world) = in_pieces(EVENTS).await;
    let (headers, body) = modern("tools/call", json!({ "name": "x" }));
    let response = world.post(REMOTE, Token::ALICE, &headers, &body).await;
    pieces.send(Ok("data: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\ndata: {\"half".into())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    pieces.send(broken()).await.unwrap();
    let messages = messages(&Got::of(response).await.text);
    assert_eq!(messages.len(), 2);
    assert_eq!((&messages[1]["id"], &messages[1]["error"]["code"]), (&json!(1), &json!(-32603)));
}

#[tokio::test]
async fn json_that_breaks_is_not_taken_for_whole() {
    let (pieces, _remote, world) = in_pieces("application/json").await;
    let (headers, body) = modern("tools/call", json!({ "name": "x" }));
    let response = world.post(REMOTE, Token::ALICE, &headers, &body).await;
    pieces.send(Ok("{\"half\":".into())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    pieces.send(broken()).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_modern_client_that_leaves_has_cancelled() {
    let (pieces, _remote, world) = in_pieces(EVENTS).await;
    let (headers, body) = modern("tools/call", json!({ "name": "x" }));
    let response = world.post(REMOTE, Token::ALICE, &headers, &body).await;
    pieces.send(Ok("data: 1\n\n".into())).await.unwrap();
    drop(response);
    timeout(SOON, pieces.closed()).await.expect("the upstream is hung up on");
}

#[tokio::test]
async fn a_legacy_client_that_leaves_has_not() {
    let (pieces, _remote, world) = in_pieces(EVENTS).await;
    let body = legacy("tools/call", &json!({ "name": "x" }));
    let response = world.post(REMOTE, Token::ALICE, &[], &body).await;
    drop(response);
    assert!(timeout(Duration::from_millis(200), pieces.closed()).await.is_err(), "it goes on");
    for _ in 0..20 {
        timeout(SOON, pieces.send(Ok("data: 1\n\n".into()))).await.expect("somebody reads").unwrap();
    }
}

#[tokio::test]
async fn streams_end_with_the_access_that_they_rest_on() {
    let blocked = |method| (method, true);
    // Nothing was heard for too long: whether they may still have it is not known.
    let unknown = |method| (method, false);
    for (method, is_blocked) in
        [blocked(Method::GET), blocked(Method::POST), unknown(Method::GET), unknown(Method::POST)]
    {
        let (pieces, response) = pieces(EVENTS);
        let response = Mutex::new(Some(response));
        let remote = Remote::start(move |_| response.lock().unwrap().take().expect("asked once")).await;
        let limits = Limits { recheck: Duration::from_millis(50), ..Limits::default() };
        let world = World::with_limits(&remote.url, limits).await;
        let response = if method == Method::GET {
            let token = format!("Bearer {}", world.token(REMOTE, Token::ALICE));
            world.send(method, REMOTE, &[("authorization", token), ("accept", EVENTS.to_owned())], "").await
        } else {
            let (headers, body) = modern("tools/call", json!({ "name": "x" }));
            world.post(REMOTE, Token::ALICE, &headers, &body).await
        };
        assert_eq!(response.status(), 200);
        // The upstream talks all the time.
        let talks = tokio::spawn(async move {
            while pieces.send(Ok("data: 1\n\n".into())).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let reads = tokio::spawn(Got::of(response));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!reads.is_finished(), "whoever may have it has it");
        if is_blocked {
            world.block("alice").await;
        } else {
            world.later(Duration::from_millis(600_001));
        }
        timeout(SOON, reads).await.expect("it ends with the access").unwrap();
        timeout(SOON, talks).await.expect("and so does the upstream's side").unwrap();
    }
}

#[tokio::test]
async fn a_standing_stream_ends_with_its_token() {
    let (pieces, _remote, world) = in_pieces(EVENTS).await;
    let headers =
        [("authorization", format!("Bearer {}", world.token(REMOTE, Token::ALICE))), ("accept", EVENTS.to_owned())];
    world.later(Duration::from_millis(3_599_700));
    world.feed.sync().await.unwrap();
    let response = world.send(Method::GET, REMOTE, &headers, "").await;
    assert_eq!(response.status(), 200);
    let got = timeout(SOON, Got::of(response)).await.expect("it ends with the token");
    assert_eq!(got.text, "");
    timeout(SOON, pieces.closed()).await.expect("and so does the upstream's side");
}
