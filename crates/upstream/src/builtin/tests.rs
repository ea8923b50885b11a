use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use http::HeaderMap;
use model::{Id, ManualClock, Principal, SeededEntropy, Timestamp, UpstreamSource};
use protocol::mcp::Era;
use serde_json::{Value, json};
use storage::repo::LiveServer;

use super::*;
use crate::{Upstream as _, Upstreams};

fn id<K>(seed: u64) -> Id<K> {
    Id::new(&ManualClock::at(Timestamp::from_seconds(1)), &SeededEntropy::new(seed))
}

fn call(era: Era, verb: Verb, body: &Value) -> Call {
    let server = LiveServer {
        id: id(1),
        tenant: id(2),
        slugs: vec!["demo".parse().unwrap()],
        name: "Demo".parse().unwrap(),
        revision: id(3),
        source: UpstreamSource::Builtin { name: "demo".into() },
    };
    Call {
        server: Arc::new(server),
        principal: Principal::User { id: id(4) },
        era,
        verb,
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    }
}

async fn answered(era: Era, body: &Value) -> Vec<Event> {
    match exchange(&Demo, call(era, Verb::Post, body)).unwrap() {
        Answer::Events(events) => events.collect().await,
        Answer::Pass(_) => panic!("a builtin gives events"),
    }
}

fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

/// The one result of a request, or its error's code and data.
async fn ask(era: Era, method: &str, params: Value) -> Result<Value, (i32, Option<Value>)> {
    let mut events = answered(era, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await;
    match (events.pop(), events.len()) {
        (Some(Event::Outcome(Outcome::Complete(result))), 0) => Ok(parsed(&result)),
        (Some(Event::Outcome(Outcome::Error(error))), 0) => Err((error.code, error.data)),
        (last, before) => panic!("{before} events before {last:?}"),
    }
}

async fn tool(name: &str, arguments: Value) -> Value {
    ask(Era::Modern, "tools/call", json!({ "name": name, "arguments": arguments })).await.unwrap()
}

#[tokio::test]
async fn the_handshake_is_discovery_under_another_name() {
    let discovered = ask(Era::Modern, "server/discover", json!({})).await.unwrap();
    assert_eq!(discovered["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "portico-demo");
    let legacy = ask(Era::Legacy, "initialize", json!({ "protocolVersion": "2025-11-25" })).await.unwrap();
    assert_eq!(legacy, discovered);
    assert_eq!(ask(Era::Legacy, "ping", json!({})).await, Ok(json!({})));
    assert_eq!(ask(Era::Modern, "ping", json!({})).await, Err((-32601, None)));
    assert_eq!(ask(Era::Modern, "initialize", json!({})).await, Err((-32601, None)));
}

#[tokio::test]
async fn every_cacheable_result_has_its_hints() {
    for method in ["server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
        let result = ask(Era::Modern, method, json!({})).await.unwrap();
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(300_000), &json!("private")), "{method}");
    }
    let page = json!({ "cursor": "" });
    assert_eq!(ask(Era::Modern, "tools/list", page).await, Err((-32602, None)));
}

#[tokio::test]
async fn tools_do_what_they_say() {
    assert_eq!(tool("echo", json!({ "text": "héllo" })).await["content"][0]["text"], "héllo");
    for (a, b, sum) in [(json!(2), json!(3), json!(5)), (json!(0.5), json!(1), json!(1.5))] {
        assert_eq!(tool("add", json!({ "a": a, "b": b })).await["structuredContent"], json!({ "sum": sum }));
    }
    let big = tool("add", json!({ "a": i64::MAX, "b": 1 })).await;
    assert_eq!(big["structuredContent"]["sum"], json!(9_223_372_036_854_775_808.0_f64));
    let me = tool("whoami", json!({})).await;
    let id = id::<model::kind::User>(4).to_string();
    assert_eq!(me["structuredContent"], json!({ "kind": "user", "id": id }));
}

#[tokio::test]
async fn what_does_not_fit_is_told_in_the_right_way() {
    let too_large = json!({ "a": f64::MAX, "b": f64::MAX });
    for (name, arguments) in [
        ("echo", json!({})),
        ("echo", json!({ "text": 1 })),
        ("add", json!({ "a": 1 })),
        ("add", too_large),
        ("slow", json!({ "seconds": 61 })),
        ("slow", json!({ "steps": 0 })),
    ] {
        assert_eq!(tool(name, arguments.clone()).await["isError"], true, "{name} {arguments}");
    }
    for (method, params, data) in [
        ("tools/call", json!({ "name": "nothing" }), None),
        ("tools/call", json!({}), None),
        ("prompts/get", json!({ "name": "nothing" }), None),
        ("prompts/get", json!({ "name": "greeting" }), None),
        ("resources/read", json!({ "uri": "demo://x" }), Some(json!({ "uri": "demo://x" }))),
        ("resources/read", json!({}), None),
        ("tools/call", json!([]), None),
    ] {
        assert_eq!(ask(Era::Modern, method, params.clone()).await, Err((-32602, data)), "{method} {params}");
    }
}

#[tokio::test]
async fn the_resource_and_the_prompt_are_there() {
    let listed = ask(Era::Modern, "resources/list", json!({})).await.unwrap();
    let uri = &listed["resources"][0]["uri"];
    let read = ask(Era::Modern, "resources/read", json!({ "uri": uri })).await.unwrap();
    assert_eq!(&read["contents"][0]["uri"], uri);
    let params = json!({ "name": "greeting", "arguments": { "name": "Ada" } });
    let prompt = ask(Era::Modern, "prompts/get", params).await.unwrap();
    assert!(prompt["messages"][0]["content"]["text"].as_str().unwrap().contains("Ada"));
}

#[tokio::test(start_paused = true)]
async fn slow_reports_progress_under_the_token_it_was_given() {
    let body = |meta: Value| {
        let params = json!({ "name": "slow", "arguments": { "seconds": 2, "steps": 2 }, "_meta": meta });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
    };
    let started = tokio::time::Instant::now();
    let events = answered(Era::Legacy, &body(json!({ "progressToken": "t" }))).await;
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    let seen: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Notification { method, params } => format!("{method} {params}"),
            Event::Outcome(outcome) => format!("{}", matches!(outcome, Outcome::Complete(_))),
        })
        .collect();
    let progress = |done: u8| format!(r#"notifications/progress {{"progressToken":"t","progress":{done},"total":2}}"#);
    assert_eq!(seen, [progress(0), progress(1), progress(2), "true".to_owned()]);
    assert_eq!(answered(Era::Modern, &body(json!({}))).await.len(), 1);
}

#[tokio::test]
async fn notifications_are_taken_in_and_other_verbs_are_not() {
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert!(matches!(answered(Era::Legacy, &note).await[..], [Event::Outcome(Outcome::Accepted)]));
    for verb in [Verb::Get, Verb::Delete] {
        let Answer::Pass(response) = exchange(&Demo, call(Era::Legacy, verb, &Value::Null)).unwrap() else {
            panic!("there is no stream to open and no session to end")
        };
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[derive(Debug)]
struct NoHttp;

#[async_trait::async_trait]
impl crate::Upstream for NoHttp {
    async fn exchange(&self, _call: Call) -> Result<Answer, UpstreamError> {
        Err(UpstreamError::Forbidden)
    }
}

#[tokio::test]
async fn exchanges_go_where_the_revision_says() {
    let upstreams = Upstreams::new(Arc::new(NoHttp), vec![Box::new(Demo)]);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let call = call(Era::Legacy, Verb::Post, &ping);
    assert!(matches!(upstreams.exchange(call.clone()).await, Ok(Answer::Events(_))));
    let to = |source| {
        let mut call = call.clone();
        Arc::make_mut(&mut call.server).source = source;
        upstreams.exchange(call)
    };
    let other = to(UpstreamSource::Builtin { name: "other".into() }).await;
    assert!(matches!(other, Err(UpstreamError::UnknownBuiltin)));
    let http = to(UpstreamSource::Http { url: "http://127.0.0.1:1/mcp".parse().unwrap() }).await;
    assert!(matches!(http, Err(UpstreamError::Forbidden)));
}
