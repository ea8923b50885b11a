//! The gateway with its real neighbours: the guard with real tokens, a directory over SQLite, the builtin
//! server, and remote upstreams over a socket.

mod legacy;
mod modern;
mod origin;
mod remote;
mod streams;
mod tunnel;
mod usage;
mod who_sees_what;
mod world;

use serde_json::{Value, json};

use self::{
    remote::Remote,
    world::{Got, Token, World},
};

/// `_meta` of a modern request.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A modern request and its headers. `params` without `_meta`.
fn modern(method: &'static str, mut params: Value) -> (Vec<(&'static str, String)>, Value) {
    let mut headers = vec![("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", method.to_owned())];
    if let Some(name) = params.get("name").or(params.get("uri")).and_then(Value::as_str) {
        headers.push(("mcp-name", name.to_owned()));
    }
    let mut own = meta();
    if let Some(token) = params.as_object_mut().and_then(|params| params.remove("progressToken")) {
        own["progressToken"] = token;
    }
    params["_meta"] = own;
    (headers, json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
}

fn legacy(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params })
}
