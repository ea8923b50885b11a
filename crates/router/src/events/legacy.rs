use std::collections::BTreeMap;

use protocol::mcp::{Code, RpcError, write_error, write_result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use upstream::Outcome;

use super::{Shape, no_outcome};

/// What results have in the modern era only.
const MODERN_MEMBERS: &[&str] = &["resultType", "ttlMs", "cacheScope"];
/// What keys of `_meta` begin with that only modern clients read.
const MODERN_META: &str = "io.modelcontextprotocol/";

/// Writes an outcome as a legacy response. Its HTTP status is 200 whatever it is: to a legacy client, 404
/// means that its session is gone.
pub(super) fn write(shape: Shape, id: &str, outcome: Outcome) -> Vec<u8> {
    let error = match outcome {
        Outcome::Complete(result) => match rewrite(shape, &result) {
            Some(result) => return write_result(id, &result),
            None => RpcError::new(Code::INTERNAL, "the server's result makes no sense"),
        },
        Outcome::InputRequired(_) | Outcome::Task(_) => {
            RpcError::new(Code::INTERNAL, "this needs a client of protocol version 2026-07-28 or later")
        }
        Outcome::Error(error) => legacy_error(shape, error),
        Outcome::Accepted => return write(shape, id, no_outcome()),
    };
    write_error(Some(id), &error)
}

/// A missing resource was -32002 until 2025-11-25 (`server/resources`, "Error handling").
fn legacy_error(shape: Shape, mut error: RpcError) -> RpcError {
    let names_uri = error.data.as_ref().is_some_and(|data| data.get("uri").is_some());
    if shape == Shape::LegacyRead && error.code == Code::INVALID_PARAMS.0 && names_uri {
        error.code = Code::LEGACY_RESOURCE_NOT_FOUND.0;
    }
    error
}

fn rewrite(shape: Shape, result: &RawValue) -> Option<Box<RawValue>> {
    if let Shape::Initialize { version } = shape {
        return initialized(version, result);
    }
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(result.get()).ok()?;
    for name in MODERN_MEMBERS {
        members.remove(*name);
    }
    // Any value in the modern era, an object before it (`server/tools`, "Structured content").
    if members.get("structuredContent").is_some_and(|raw| !raw.get().starts_with('{')) {
        members.remove("structuredContent");
    }
    let meta = members.remove("_meta").map(|raw| serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()));
    let mut meta = meta.transpose().ok()?.unwrap_or_default();
    meta.retain(|key, _| !key.starts_with(MODERN_META));
    let meta = (!meta.is_empty()).then(|| to_raw(&meta));
    if let Some(meta) = &meta {
        members.insert("_meta".to_owned(), meta);
    }
    Some(to_raw(&members))
}

fn to_raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("raw members serialise")
}

/// What `server/discover` gives, as far as `initialize` needs it.
#[derive(Deserialize)]
struct Discovered {
    capabilities: serde_json::Map<String, Value>,
    instructions: Option<String>,
    #[serde(rename = "_meta", default)]
    meta: DiscoveredMeta,
}

#[derive(Default, Deserialize)]
struct DiscoveredMeta {
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    server_info: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: &'static str,
    capabilities: serde_json::Map<String, Value>,
    server_info: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
}

/// The legacy handshake's answer (2025-11-25, `basic/lifecycle`).
fn initialized(version: &'static str, discovered: &RawValue) -> Option<Box<RawValue>> {
    let Discovered { mut capabilities, instructions, meta } = serde_json::from_str(discovered.get()).ok()?;
    capabilities.remove("extensions");
    let unnamed = || serde_json::json!({ "name": "server", "version": "0" });
    let server_info = meta.server_info.unwrap_or_else(unnamed);
    Some(to_raw(&Initialized { protocol_version: version, capabilities, server_info, instructions }))
}
