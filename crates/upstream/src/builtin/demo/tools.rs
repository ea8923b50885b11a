//! The demo server's tools.

use std::time::Duration;

use futures_util::stream;
use model::Principal;
use protocol::mcp::{Code, RpcError, method};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Number, Value, json, value::RawValue};

use super::{Request, just, plain};
use crate::{Event, EventStream, Outcome, builtin::raw};

const MAX_SECONDS: f64 = 60.0;
const MAX_STEPS: u32 = 100;

/// The definitions. The order is fixed, so that clients can cache the list.
pub(super) fn list() -> Value {
    json!({ "tools": [
        tool("echo", "Echo", "Gives back the text it was given.", &json!({
            "type": "object",
            "properties": { "text": { "type": "string", "description": "Any text." } },
            "required": ["text"],
        }), None),
        tool("add", "Add", "Adds two numbers.", &json!({
            "type": "object",
            "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
            "required": ["a", "b"],
        }), Some(&json!({
            "type": "object",
            "properties": { "sum": { "type": "number" } },
            "required": ["sum"],
        }))),
        tool("whoami", "Who am I", "Tells which principal this server sees.", &json!({
            "type": "object",
            "properties": {},
        }), Some(&json!({
            "type": "object",
            "properties": { "kind": { "type": "string" }, "id": { "type": "string" } },
            "required": ["kind", "id"],
        }))),
        tool("slow", "Slow", "Takes its time and reports progress when asked to.", &json!({
            "type": "object",
            "properties": {
                "seconds": { "type": "number", "minimum": 0, "maximum": MAX_SECONDS, "default": 3 },
                "steps": { "type": "integer", "minimum": 1, "maximum": MAX_STEPS, "default": 5 },
            },
        }), None),
    ]})
}

fn tool(name: &str, title: &str, description: &str, input: &Value, output: Option<&Value>) -> Value {
    let mut tool = json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": input,
        "annotations": { "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false },
    });
    if let Some(output) = output {
        tool["outputSchema"] = output.clone();
    }
    tool
}

#[derive(Deserialize)]
struct Echo {
    text: String,
}

#[derive(Deserialize)]
struct Add {
    a: Number,
    b: Number,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(default)]
struct Slow {
    seconds: f64,
    steps: u32,
}

impl Default for Slow {
    fn default() -> Self {
        Self { seconds: 3.0, steps: 5 }
    }
}

/// Calls a tool. An unknown one is a protocol error; arguments that do not fit are a result that the model
/// can read and learn from (`server/tools`, "Error handling").
pub(super) fn call(name: &str, arguments: Option<&RawValue>, request: &Request) -> EventStream {
    let outcome = match name {
        "echo" => parse(arguments).map(|Echo { text }| said(&text, None)),
        "add" => parse(arguments).and_then(add),
        "whoami" => Ok(whoami(&request.principal)),
        "slow" => match parse(arguments).and_then(checked) {
            Ok(slow) => return run_slow(slow, request.progress_token.clone()),
            Err(message) => Err(message),
        },
        other => {
            let error = RpcError::new(Code::INVALID_PARAMS, format!("unknown tool: {other}"));
            return just(Outcome::Error(error));
        }
    };
    just(
        outcome.unwrap_or_else(|message| {
            plain(json!({ "content": [{ "type": "text", "text": message }], "isError": true }))
        }),
    )
}

fn parse<T: DeserializeOwned>(arguments: Option<&RawValue>) -> Result<T, String> {
    let text = arguments.map_or("{}", RawValue::get);
    serde_json::from_str(text).map_err(|error| format!("the arguments do not fit: {error}"))
}

fn said(text: &str, structured: Option<Value>) -> Outcome {
    let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": false });
    if let Some(structured) = structured {
        result["structuredContent"] = structured;
    }
    plain(result)
}

fn add(Add { a, b }: Add) -> Result<Outcome, String> {
    let whole = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| a.checked_add(b)).map(Number::from);
    let broken = || a.as_f64().zip(b.as_f64()).and_then(|(a, b)| Number::from_f64(a + b));
    let sum = whole.or_else(broken).ok_or("the sum is too large for a number")?;
    Ok(said(&sum.to_string(), Some(json!({ "sum": sum }))))
}

/// Nothing but the kind and the id: no name, no address, no role.
fn whoami(principal: &Principal) -> Outcome {
    let (kind, id) = match principal {
        Principal::User { id } => ("user", id.to_string()),
        Principal::Service { id } => ("service", id.to_string()),
        Principal::External { subject, .. } => ("external", subject.to_string()),
    };
    said(&id, Some(json!({ "kind": kind, "id": id })))
}

fn checked(slow: Slow) -> Result<Slow, String> {
    let fits = (0.0..=MAX_SECONDS).contains(&slow.seconds) && (1..=MAX_STEPS).contains(&slow.steps);
    if fits { Ok(slow) } else { Err(format!("use 0 to {MAX_SECONDS} seconds and 1 to {MAX_STEPS} steps")) }
}

/// Waits step by step. With a token, progress goes out before the first step and after each.
fn run_slow(slow: Slow, token: Option<Box<RawValue>>) -> EventStream {
    let pause = Duration::from_secs_f64(slow.seconds / f64::from(slow.steps));
    let steps = slow.steps;
    let progress = move |done: u32, token: &RawValue| Event::Notification {
        method: method::PROGRESS.to_owned(),
        params: raw(&json!({ "progressToken": token, "progress": done, "total": steps })),
    };
    if let Some(token) = token {
        return Box::pin(stream::unfold(Some(0), move |state| {
            let event = state.filter(|done| *done <= steps).map(|done| progress(done, &token));
            async move {
                let done = state?;
                if (1..=steps).contains(&done) {
                    tokio::time::sleep(pause).await;
                }
                Some(match event {
                    Some(event) => (event, Some(done + 1)),
                    None => (finished(steps), None),
                })
            }
        }));
    }
    Box::pin(stream::once(async move {
        tokio::time::sleep(pause * steps).await;
        finished(steps)
    }))
}

fn finished(steps: u32) -> Event {
    Event::Outcome(said(&format!("done after {steps} steps"), None))
}
