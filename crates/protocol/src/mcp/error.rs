use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

/// A code of a JSON-RPC error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub i32);

impl Code {
    /// The body is not JSON.
    pub const PARSE_ERROR: Self = Self(-32700);
    /// The body is not a message, or not one that may be sent here.
    pub const INVALID_REQUEST: Self = Self(-32600);
    /// No such method.
    pub const METHOD_NOT_FOUND: Self = Self(-32601);
    /// The parameters do not fit; also an unknown tool, prompt, resource or cursor.
    pub const INVALID_PARAMS: Self = Self(-32602);
    /// Something failed inside.
    pub const INTERNAL: Self = Self(-32603);
    /// Modern: a header is missing or does not match the body.
    pub const HEADER_MISMATCH: Self = Self(-32020);
    /// Modern: the client did not declare a capability that is needed.
    pub const MISSING_CAPABILITY: Self = Self(-32021);
    /// Modern: we do not speak this version.
    pub const UNSUPPORTED_VERSION: Self = Self(-32022);
    /// Legacy only: no such resource. Never sent to a modern client.
    pub const LEGACY_RESOURCE_NOT_FOUND: Self = Self(-32002);

    /// The HTTP status that an error has when it answers a *modern* request
    /// (`basic/transports/streamable-http`). To a legacy client every error of the server is a 200: it
    /// would read a 404 as the end of its session.
    ///
    /// [`Code::INVALID_PARAMS`] is 400 instead when `_meta` was at fault; see [`Refusal`].
    pub const fn modern_status(self) -> StatusCode {
        match self {
            Self::PARSE_ERROR
            | Self::INVALID_REQUEST
            | Self::HEADER_MISMATCH
            | Self::MISSING_CAPABILITY
            | Self::UNSUPPORTED_VERSION => StatusCode::BAD_REQUEST,
            Self::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        }
    }
}

/// A JSON-RPC error object (JSON-RPC 2.0 §5.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    /// The code; see [`Code`].
    pub code: i32,
    /// One sentence for people.
    pub message: String,
    /// More, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.0, message: message.into(), data: None }
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(self, data: serde_json::Value) -> Self {
        Self { data: Some(data), ..self }
    }
}

/// An error together with the HTTP status that carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The error.
    pub error: RpcError,
}

impl Refusal {
    /// With the status that `code` has for a modern client.
    pub fn modern(code: Code, message: impl Into<String>) -> Self {
        Self { status: code.modern_status(), error: RpcError::new(code, message) }
    }

    /// With a status of its own.
    pub fn with_status(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, error: RpcError::new(code, message) }
    }
}

/// Writes an error response. `id` is the request's, as written; `null` when it could not be read, as
/// legacy clients expect it (JSON-RPC 2.0 §5) and modern ones allow.
pub fn write_error(id: Option<&str>, error: &RpcError) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + error.message.len());
    begin(&mut out, id);
    out.extend_from_slice(b",\"error\":");
    serde_json::to_writer(&mut out, error).expect("an error object serialises");
    out.push(b'}');
    out
}

/// Writes a result response. `id` is the request's, as written.
pub fn write_result(id: &str, result: &RawValue) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + result.get().len());
    begin(&mut out, Some(id));
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result.get().as_bytes());
    out.push(b'}');
    out
}

fn begin(out: &mut Vec<u8>, id: Option<&str>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.unwrap_or("null").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_statuses() {
        for (code, status) in [
            (-32700, 400),
            (-32600, 400),
            (-32601, 404),
            (-32602, 200),
            (-32603, 200),
            (-32020, 400),
            (-32021, 400),
            (-32022, 400),
            (-1, 200),
        ] {
            assert_eq!(Code(code).modern_status(), status, "{code}");
        }
    }

    #[test]
    fn bodies_repeat_the_id_as_it_was_written() {
        let error = RpcError::new(Code::INTERNAL, "a \"b\"").with_data(serde_json::json!([1]));
        let body = String::from_utf8(write_error(Some("\"x\""), &error)).unwrap();
        assert_eq!(body, r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32603,"message":"a \"b\"","data":[1]}}"#);
        let body = String::from_utf8(write_error(None, &RpcError::new(Code::PARSE_ERROR, "x"))).unwrap();
        assert_eq!(body, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#);
        let result = RawValue::from_string("{ }".to_owned()).unwrap();
        assert_eq!(write_result("7", &result), br#"{"jsonrpc":"2.0","id":7,"result":{ }}"#);
    }
}
