//! The Model Context Protocol as a gateway sees it: the JSON-RPC envelope with everything it does not need
//! left as raw text, the two eras, the header rules, the error table, and the SSE codec.

/// Which protocol family a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2026-07-28 and later: stateless, `_meta` on every request.
    Modern,
    /// 2025-11-25 and older: `initialize` and sessions.
    Legacy,
}

/// A JSON-RPC error object (JSON-RPC 2.0 §5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// The code; see the table in this module.
    pub code: i32,
    /// One sentence for people.
    pub message: String,
    /// More, for programs.
    pub data: Option<serde_json::Value>,
}
