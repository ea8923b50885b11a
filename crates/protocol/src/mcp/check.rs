use http::HeaderMap;
use serde_json::json;

use super::{
    Code, Envelope, MODERN_VERSIONS, Message, Meta, Params, Refusal, RpcError,
    header::{self, Unreadable},
    is_modern_version,
    method::{self, Named},
    text,
};

/// Checks a modern message against its headers, in the order that gives the specified error when several
/// things are wrong (`basic/transports/streamable-http`, "Server validation"): the version header, the
/// required members of `_meta`, their equality, the version itself, `Mcp-Method`, removed methods,
/// `Mcp-Name`. `Mcp-Param-*` needs the tool's schema and is the upstream's to check.
///
/// A notification needs no headers and no `_meta`, since the specification defines none for it; what it
/// has must agree.
pub fn check_modern(
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    params: &Params<'_>,
    meta: &Meta<'_>,
) -> Result<(), Refusal> {
    match &envelope.message {
        Message::Request { method, .. } => {
            version(headers, meta, true)?;
            method_header(headers, method, true)?;
            if method::is_removed(method) {
                let message = format!("the method {method} is not in this protocol version");
                return Err(Refusal::modern(Code::METHOD_NOT_FOUND, message));
            }
            name_header(headers, method, params)?;
        }
        Message::Notification { method } => {
            version(headers, meta, false)?;
            method_header(headers, method, false)?;
        }
        Message::Response { .. } => {
            return Err(Refusal::modern(Code::INVALID_REQUEST, "clients send no responses in this protocol version"));
        }
    }
    Ok(())
}

fn mismatch(what: &str) -> Refusal {
    Refusal::modern(Code::HEADER_MISMATCH, what)
}

fn version(headers: &HeaderMap, meta: &Meta<'_>, required: bool) -> Result<(), Refusal> {
    let unreadable = |Unreadable| mismatch("MCP-Protocol-Version is repeated or unreadable");
    let header = header::single(headers, header::PROTOCOL_VERSION).map_err(unreadable)?;
    if required && header.is_none() {
        return Err(mismatch("MCP-Protocol-Version is missing"));
    }
    let in_meta = meta.protocol_version.map(|raw| text(raw).ok_or_else(|| bad_meta("protocolVersion is not a string")));
    let in_meta = in_meta.transpose()?;
    if required {
        if in_meta.is_none() {
            return Err(bad_meta("io.modelcontextprotocol/protocolVersion is missing"));
        }
        let capabilities = meta.client_capabilities.map(serde_json::value::RawValue::get);
        if !capabilities.is_some_and(|raw| raw.starts_with('{')) {
            return Err(bad_meta("io.modelcontextprotocol/clientCapabilities is missing or not an object"));
        }
    }
    if let (Some(header), Some(in_meta)) = (header, in_meta.as_deref())
        && header != in_meta
    {
        return Err(mismatch("MCP-Protocol-Version differs from the version in _meta"));
    }
    match in_meta.as_deref().or(header) {
        Some(version) if !is_modern_version(version) => Err(unsupported(version)),
        _ => Ok(()),
    }
}

/// A required member of `_meta` is missing or of the wrong type: -32602, and 400 unlike other bad params.
fn bad_meta(what: &str) -> Refusal {
    Refusal::with_status(http::StatusCode::BAD_REQUEST, Code::INVALID_PARAMS, format!("invalid _meta: {what}"))
}

fn unsupported(version: &str) -> Refusal {
    let data = json!({ "supported": MODERN_VERSIONS, "requested": version });
    Refusal {
        status: Code::UNSUPPORTED_VERSION.modern_status(),
        error: RpcError::new(Code::UNSUPPORTED_VERSION, "unsupported protocol version").with_data(data),
    }
}

fn method_header(headers: &HeaderMap, method: &str, required: bool) -> Result<(), Refusal> {
    match header::single(headers, header::METHOD) {
        Ok(Some(value)) if value == method => Ok(()),
        Ok(Some(_)) => Err(mismatch("Mcp-Method differs from the method in the body")),
        Ok(None) if required => Err(mismatch("Mcp-Method is missing")),
        Ok(None) => Ok(()),
        Err(Unreadable) => Err(mismatch("Mcp-Method is repeated or unreadable")),
    }
}

fn name_header(headers: &HeaderMap, method: &str, params: &Params<'_>) -> Result<(), Refusal> {
    let Some(named) = method::named(method) else { return Ok(()) };
    let in_body = match named {
        Named::Name => params.name,
        Named::Uri => params.uri,
        Named::TaskId => params.task_id,
    };
    let unreadable = |Unreadable| mismatch("Mcp-Name is repeated or cannot be decoded");
    let header = header::single(headers, header::NAME).map_err(unreadable)?;
    let header = header.map(header::decode).transpose().map_err(unreadable)?;
    match (header, in_body.and_then(text)) {
        (Some(header), Some(in_body)) if header == in_body => Ok(()),
        (Some(_), _) => Err(mismatch("Mcp-Name differs from the name in the body")),
        (None, Some(_)) => Err(mismatch("Mcp-Name is missing")),
        // Nothing to repeat: the parameter itself is missing, which the method answers.
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
