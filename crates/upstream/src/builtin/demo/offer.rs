//! The demo server's resource and prompt.

use protocol::mcp::{Code, RpcError};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

const ABOUT_URI: &str = "demo://about";
const ABOUT: &str = "This is the demo server of Portico. It runs inside the gateway's own process and needs no \
    upstream: if you can read this, sign-in, consent, tokens and routing work.";

pub(super) fn resources() -> Value {
    json!({ "resources": [{
        "uri": ABOUT_URI,
        "name": "about",
        "title": "About this server",
        "description": "What the demo server is.",
        "mimeType": "text/plain",
    }]})
}

pub(super) fn read(uri: &str) -> Result<Value, RpcError> {
    if uri == ABOUT_URI {
        Ok(json!({ "contents": [{ "uri": ABOUT_URI, "mimeType": "text/plain", "text": ABOUT }] }))
    } else {
        Err(RpcError::new(Code::INVALID_PARAMS, "resource not found").with_data(json!({ "uri": uri })))
    }
}

pub(super) fn prompts() -> Value {
    json!({ "prompts": [{
        "name": "greeting",
        "title": "Greeting",
        "description": "Asks for a friendly greeting.",
        "arguments": [{ "name": "name", "description": "Who to greet.", "required": true }],
    }]})
}

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

pub(super) fn prompt(name: &str, arguments: Option<&RawValue>) -> Result<Value, RpcError> {
    if name != "greeting" {
        return Err(RpcError::new(Code::INVALID_PARAMS, format!("unknown prompt: {name}")));
    }
    let arguments = arguments.and_then(|raw| serde_json::from_str::<Greeting>(raw.get()).ok());
    let Greeting { name } =
        arguments.ok_or_else(|| RpcError::new(Code::INVALID_PARAMS, "the argument name is missing or not a string"))?;
    Ok(json!({
        "description": "A friendly greeting",
        "messages": [{
            "role": "user",
            "content": { "type": "text", "text": format!("Please greet {name} in one friendly sentence.") },
        }],
    }))
}
