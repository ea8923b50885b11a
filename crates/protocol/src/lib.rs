//! Wire types of the two protocols that Portico speaks: OAuth, and the MCP envelope.
//!
//! Invariant: nothing here does I/O, and nothing here knows axum, SQL or a tenant.

pub mod mcp;
pub mod oauth;
