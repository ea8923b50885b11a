use std::{fmt, sync::Mutex};

use async_trait::async_trait;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use protocol::mcp::header;

use super::*;
use crate::{
    Answer, Call, Verb,
    builtin::{Builtin, Demo},
    dispatch::Upstreams,
};

type Script = Box<dyn Fn(&str, &Value, &HeaderMap) -> Response<String> + Send + Sync>;

/// A server that answers each method as its script says, and what it was asked.
struct Scripted {
    script: Script,
    /// Fails all exchanges.
    fails: Option<fn() -> UpstreamError>,
    asked: Mutex<Vec<String>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    fn new(script: impl Fn(&str, &Value, &HeaderMap) -> Response<String> + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), fails: None, asked: Mutex::default() }
    }

    fn failing(error: fn() -> UpstreamError) -> Self {
        Self { fails: Some(error), ..Self::new(|_, _, _| status(500)) }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Upstream for Scripted {
    async fn exchange(&self, call: Call) -> Result<Answer, UpstreamError> {
        let message: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let method = match call.verb {
            Verb::Post => message["method"].as_str().unwrap(),
            Verb::Get => "GET",
            Verb::Delete => "DELETE",
        };
        let of = |name| call.headers.get(name).map_or("-", |value| value.to_str().unwrap());
        let (version, session) = (of(header::PROTOCOL_VERSION), of(header::SESSION_ID));
        self.asked.lock().unwrap().push(format!("{method} {version} {session}"));
        if let Some(error) = self.fails {
            return Err(error());
        }
        let response = (self.script)(method, &message, &call.headers);
        if response.status() == StatusCode::GATEWAY_TIMEOUT {
            std::future::pending::<()>().await;
        }
        Ok(Answer::Pass(response.map(|body| Full::from(body).map_err(|never| match never {}).boxed_unsync())))
    }
}

fn json_response(status: u16, body: &Value) -> Response<String> {
    Response::builder().status(status).header("content-type", "application/json").body(body.to_string()).unwrap()
}

fn result(message: &Value, result: &Value) -> Response<String> {
    json_response(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
}

fn error(status: u16, id: &Value, code: i32, data: &Value) -> Response<String> {
    let error = json!({ "code": code, "message": "it will not", "data": data });
    json_response(status, &json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

fn status(status: u16) -> Response<String> {
    Response::builder().status(status).header("content-type", "text/html").body("<h1>no</h1>".into()).unwrap()
}

async fn look_at(upstream: &dyn Upstream, source: UpstreamSource) -> Result<Offer, InspectError> {
    let (tenant, user) = (TenantId::from_bytes(&[1; 16]).unwrap(), UserId::from_bytes(&[2; 16]).unwrap());
    inspect(upstream, source, tenant, user).await
}

async fn look_over_http(upstream: &Scripted) -> Result<Offer, InspectError> {
    look_at(upstream, UpstreamSource::Http { url: "https://mcp.example.com/mcp".parse().unwrap() }).await
}

fn modern(method: &str, message: &Value) -> Response<String> {
    let meta = &message["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
    match (method, message["params"]["cursor"].as_str()) {
        ("server/discover", _) => result(
            message,
            &json!({
                "resultType": "complete", "supportedVersions": ["2027-01-01", "2026-07-28"],
                "capabilities": { "tools": {} }, "instructions": "Be kind.", "ttlMs": 0, "cacheScope": "private",
                "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "m", "title": "Modern", "version": "2" } },
            }),
        ),
        ("tools/list", None) => result(
            message,
            &json!({
                "tools": [{ "name": "a", "inputSchema": { "type": "object" }, "x-unknown": 1,
                            "annotations": { "title": "Tool A", "readOnlyHint": true } }],
                "nextCursor": "",
            }),
        ),
        ("tools/list", Some("")) => result(
            message,
            &json!({ "tools": [{ "name": "b", "title": "Tool B", "description": "Does b.",
                "inputSchema": { "type": "object" }, "outputSchema": { "type": "string" } }] }),
        ),
        other => panic!("{other:?} was not offered"),
    }
}

#[tokio::test]
async fn looks_at_a_modern_server() {
    let server = Scripted::new(|method, message, headers| {
        assert_eq!(headers[header::METHOD], method);
        modern(method, message)
    });
    let offer = look_over_http(&server).await.unwrap();
    assert_eq!(server.asked(), ["server/discover 2026-07-28 -", "tools/list 2026-07-28 -", "tools/list 2026-07-28 -"]);
    assert_eq!((offer.era, &*offer.protocol_version), (Era::Modern, "2026-07-28"));
    assert_eq!(
        (&*offer.server.name, offer.server.title.as_deref(), &*offer.server.version),
        ("m", Some("Modern"), "2")
    );
    assert_eq!(offer.instructions.as_deref(), Some("Be kind."));
    let names: Vec<_> =
        offer.tools.iter().map(|tool| (tool.display_name(), tool.read_only(), tool.destructive())).collect();
    assert_eq!(names, [("Tool A", true, false), ("Tool B", false, true)]);
    assert_eq!(offer.tools[1].output_schema, Some(json!({ "type": "string" })));
    // It is kept as JSON and read back.
    let kept = serde_json::to_value(&offer).unwrap();
    assert_eq!(kept["era"], "modern");
    assert_eq!(serde_json::from_value::<Offer>(kept).unwrap(), offer);
}

/// Answers as a legacy server with sessions does; `probe` is what it says to a modern question.
fn legacy(probe: fn(&Value) -> Response<String>) -> Scripted {
    Scripted::new(move |method, message, _| match method {
        "server/discover" => probe(message),
        "initialize" => {
            assert_eq!(message["params"]["protocolVersion"], "2025-11-25");
            assert!(message["params"].get("_meta").is_none());
            let body = json!({ "jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": "2025-06-18", "capabilities": { "prompts": {}, "resources": {} },
                "serverInfo": { "name": "old", "version": "1" },
            }});
            // As a stream, with a notification and a question of its own in front, and a foreign answer.
            let stream = format!(
                ": hello\r\n\r\nid: 1\r\ndata:\r\n\r\nevent: message\r\ndata: {}\r\n\r\ndata: {}\r\n\r\ndata: {}\r\n\r\ndata: {body}\r\n\r\n",
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {} }),
                json!({ "jsonrpc": "2.0", "id": 1, "method": "roots/list" }),
                json!({ "jsonrpc": "2.0", "id": 99, "result": {} }),
            );
            let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
            response.header("mcp-session-id", "s-1").body(stream).unwrap()
        }
        "notifications/initialized" | "DELETE" => {
            assert!(message.get("id").is_none());
            Response::builder().status(202).body(String::new()).unwrap()
        }
        "prompts/list" => result(message, &json!({ "prompts": [{ "name": "p", "arguments": [{ "name": "x" }] }] })),
        "resources/list" => {
            result(message, &json!({ "resources": [{ "uri": "a://b", "name": "r", "mimeType": "text/plain" }] }))
        }
        "resources/templates/list" => error(200, &message["id"], -32601, &Value::Null),
        other => panic!("{other} was not offered"),
    })
}

#[tokio::test]
async fn looks_at_a_legacy_server_and_ends_the_session() {
    let probes: [fn(&Value) -> Response<String>; 6] = [
        |_| error(400, &Value::Null, -32000, &Value::Null),
        |message| error(200, &message["id"], -32601, &Value::Null),
        |_| error(400, &json!("server-error"), -32600, &Value::Null),
        |_| status(404),
        |_| status(500),
        // A server that speaks both, and a modern version that we do not.
        |message| error(400, &message["id"], -32022, &json!({ "supported": ["2027-01-01"] })),
    ];
    for probe in probes {
        let server = legacy(probe);
        let offer = look_over_http(&server).await.unwrap();
        assert_eq!((offer.era, &*offer.protocol_version), (Era::Legacy, "2025-06-18"));
        assert_eq!((&*offer.server.name, &*offer.prompts[0].name, &*offer.resources[0].uri), ("old", "p", "a://b"));
        assert!(offer.tools.is_empty() && offer.templates.is_empty());
        assert_eq!(
            server.asked(),
            [
                "server/discover 2026-07-28 -",
                "initialize - -",
                "notifications/initialized 2025-06-18 s-1",
                "prompts/list 2025-06-18 s-1",
                "resources/list 2025-06-18 s-1",
                "resources/templates/list 2025-06-18 s-1",
                "DELETE 2025-06-18 s-1",
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_left_unanswered_is_asked_the_older_way() {
    let server = legacy(|_| status(504));
    assert_eq!(look_over_http(&server).await.unwrap().era, Era::Legacy);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_too_slow() {
    let server = Scripted::new(|_, _, _| status(504));
    let began = Instant::now();
    assert!(matches!(look_over_http(&server).await, Err(InspectError::TooSlow)));
    assert_eq!(began.elapsed(), TOTAL);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_ended_when_its_server_becomes_too_slow() {
    let server = Scripted::new(|method, message, _| match method {
        "initialize" => {
            let said = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} } });
            let mut response = result(message, &said);
            response.headers_mut().insert(header::SESSION_ID, "s-1".parse().unwrap());
            response
        }
        "tools/list" => status(504),
        "notifications/initialized" => status(202),
        _ => status(404),
    });
    let looked = look_over_http(&server).await;
    assert!(matches!(looked, Err(InspectError::TooSlow)), "{looked:?}");
    assert_eq!(server.asked().last().unwrap(), "DELETE 2025-11-25 s-1");
}

#[tokio::test]
async fn says_in_plain_words_what_is_wrong() {
    let html = |code: u16| move |_: &str, _: &Value, _: &HeaderMap| status(code);
    let cases: Vec<(Scripted, &str)> = vec![
        (Scripted::new(html(401)), "The server asks for authorization, which Portico cannot give it yet."),
        (Scripted::new(html(403)), "The server asks for authorization, which Portico cannot give it yet."),
        (
            Scripted::new(|_, _, _| {
                let mut response = status(307);
                response.headers_mut().insert("location", "https://mcp.example.com/mcp".parse().unwrap());
                response
            }),
            "The server redirects to https://mcp.example.com/mcp. If you trust that address, enter it instead.",
        ),
        (
            Scripted::new(html(302)),
            "The server redirects to another address. If you trust that address, enter it instead.",
        ),
        (Scripted::new(html(429)), "The server answers with HTTP status 429 Too Many Requests."),
        (Scripted::new(html(503)), "The server answers with HTTP status 503 Service Unavailable."),
        (
            Scripted::new(html(404)),
            "This is not an MCP server over streamable HTTP: it does not know the protocol's first message.",
        ),
        (
            Scripted::new(html(200)),
            "This is not an MCP server over streamable HTTP: it answers neither with JSON nor with a stream of events.",
        ),
        (
            Scripted::new(|_, _, _| json_response(200, &json!({ "hello": "world" }))),
            "This is not an MCP server over streamable HTTP: what it answers is not a JSON-RPC response.",
        ),
        (
            Scripted::new(|_, message, _| result(message, &json!([]))),
            "This is not an MCP server over streamable HTTP: its result is not an object.",
        ),
        (
            Scripted::new(|_, message, _| error(400, &message["id"], -32022, &json!({ "supported": ["2030-01-01"] }))),
            "The server speaks only versions of MCP that Portico does not: 2030-01-01.",
        ),
        (
            Scripted::new(|_, message, _| error(400, &message["id"], -32020, &Value::Null)),
            "The server answers server/discover with an error: it will not",
        ),
        (
            Scripted::failing(|| UpstreamError::Forbidden),
            "Portico may not connect to this address. It is private, local, or one of Portico's own.",
        ),
        (
            Scripted::failing(|| UpstreamError::Unreachable("refused".into())),
            "The server cannot be reached. Check the URL, and that the server is running.",
        ),
        (
            Scripted::failing(|| UpstreamError::Nonsense("it is not HTTP")),
            "This is not an MCP server over streamable HTTP: it is not HTTP.",
        ),
    ];
    for (server, expected) in cases {
        assert_eq!(look_over_http(&server).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn takes_in_only_so_much() {
    let endless = Scripted::new(|method, message, _| match method {
        "tools/list" => result(message, &json!({ "tools": [], "nextCursor": "again" })),
        _ => modern(method, message),
    });
    let many = Scripted::new(|method, message, _| match method {
        "tools/list" => result(message, &json!({ "tools": vec![json!({ "name": "t" }); 1001] })),
        _ => modern(method, message),
    });
    let wordy = Scripted::new(|method, message, _| match method {
        "tools/list" => result(message, &json!({ "tools": [{ "name": "t", "description": "x".repeat(3_000_000) }] })),
        _ => modern(method, message),
    });
    let huge = Scripted::new(|method, message, _| match method {
        "tools/list" => result(message, &json!({ "tools": [], "pad": "x".repeat(5_000_000) })),
        _ => modern(method, message),
    });
    for server in [endless, many, wordy, huge] {
        let looked = look_over_http(&server).await;
        assert!(matches!(looked, Err(InspectError::TooLarge)), "{looked:?}");
        assert!(server.asked().len() <= 51);
    }
    assert_eq!((cut("aäb", 2), cut("aäb", 3), cut("", 5)), ("a".to_owned(), "aä".to_owned(), String::new()));
}

#[tokio::test]
async fn looks_at_a_built_in_server() {
    let http: Arc<dyn Upstream> = Arc::new(Scripted::new(|_, _, _| status(404)));
    let upstreams = Upstreams::new(http, vec![Box::new(Demo) as Box<dyn Builtin>]);
    let offer = look_at(&upstreams, UpstreamSource::Builtin { name: "demo".into() }).await.unwrap();
    assert_eq!(offer.era, Era::Modern);
    let names: Vec<&str> = offer.tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["echo", "add", "whoami", "slow"]);
    assert_eq!((offer.prompts.len(), offer.resources.len()), (1, 1));
    let absent = look_at(&upstreams, UpstreamSource::Builtin { name: "none".into() }).await;
    assert!(matches!(absent, Err(InspectError::UnknownBuiltin)), "{absent:?}");
}
