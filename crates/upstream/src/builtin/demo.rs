//! The demo server: small, and with one of everything that a gateway has to carry.

mod offer;
mod tools;

use protocol::mcp::{Code, MODERN_VERSIONS, Params, RpcError, method, text};
use serde_json::{Value, json};

use super::{Builtin, Request, complete, just};
use crate::{EventStream, Outcome};

/// How long clients may keep what does not change while this process runs, in milliseconds.
const TTL_MS: u64 = 300_000;

/// The demo server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demo;

impl Builtin for Demo {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn answer(&self, request: Request) -> EventStream {
        let Some(params) = request.params.as_deref().map_or(Some(Params::default()), Params::read) else {
            return just(invalid("params are not an object"));
        };
        let name = params.name.and_then(text);
        let outcome = match &*request.method {
            method::DISCOVER => cacheable(discover()),
            method::TOOLS_LIST => list(&params, tools::list()),
            method::RESOURCES_LIST => list(&params, offer::resources()),
            method::RESOURCE_TEMPLATES_LIST => list(&params, json!({ "resourceTemplates": [] })),
            method::PROMPTS_LIST => list(&params, offer::prompts()),
            method::RESOURCES_READ => match params.uri.and_then(text) {
                Some(uri) => offer::read(&uri).map_or_else(Outcome::Error, cacheable),
                None => invalid("uri is missing"),
            },
            method::PROMPTS_GET => match name {
                Some(name) => offer::prompt(&name, params.arguments).map_or_else(Outcome::Error, plain),
                None => invalid("name is missing"),
            },
            method::TOOLS_CALL => match name {
                Some(name) => return tools::call(&name, params.arguments, &request),
                None => invalid("name is missing"),
            },
            other => Outcome::Error(RpcError::new(Code::METHOD_NOT_FOUND, format!("no method {other}"))),
        };
        just(outcome)
    }
}

fn invalid(message: &str) -> Outcome {
    Outcome::Error(RpcError::new(Code::INVALID_PARAMS, message))
}

/// A result that names the server, as every result should (`basic/index`).
fn plain(mut result: Value) -> Outcome {
    result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": {
        "name": "portico-demo",
        "title": "Portico demo",
        "version": env!("CARGO_PKG_VERSION"),
    }});
    complete(&result)
}

/// A result with cache hints (`basic/patterns/caching`). Private: it was given to one caller.
fn cacheable(mut result: Value) -> Outcome {
    result["ttlMs"] = TTL_MS.into();
    result["cacheScope"] = "private".into();
    plain(result)
}

/// A list of one page: no cursor was ever handed out, so every cursor is a bad one.
fn list(params: &Params<'_>, page: Value) -> Outcome {
    if params.cursor.is_some_and(|raw| raw.get() != "null") {
        return invalid("this cursor is not one of this list");
    }
    cacheable(page)
}

fn discover() -> Value {
    json!({
        "supportedVersions": MODERN_VERSIONS,
        "capabilities": { "tools": {}, "resources": {}, "prompts": {} },
        "instructions": "A small server to try a connection with. `whoami` tells who you are here.",
    })
}
