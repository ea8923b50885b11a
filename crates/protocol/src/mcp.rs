//! The Model Context Protocol as a gateway sees it: the JSON-RPC envelope with everything it does not need
//! left as raw text, the two eras, the header rules, the error table, and the SSE codec.
//!
//! Sources: the MCP specification 2026-07-28 (`basic/index`, `basic/transports/streamable-http`,
//! `basic/versioning`) and 2025-11-25 (`basic/transports`), JSON-RPC 2.0, and the HTML standard §9.2 for SSE.

mod check;
mod envelope;
mod era;
mod error;
pub mod header;
pub mod method;
mod peek;
pub mod sse;

pub use crate::mcp::{
    check::check_modern,
    envelope::{Envelope, Malformed, Message},
    era::{Era, LATEST_LEGACY, LEGACY_VERSIONS, MODERN_VERSIONS, is_legacy_version, is_modern_version, looks_modern},
    error::{Code, Refusal, RpcError, write_error, write_result},
    peek::{Meta, Params, text},
};
