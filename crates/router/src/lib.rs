//! The data plane: from a request on a server's MCP endpoint to its upstream and back.
//!
//! [`Gateway::call`] is the whole of it: origin rule → resolve → guard → policy → envelope and era → scopes
//! → exchange → answer. `docs/data-plane.md` tells the story.
//!
//! Invariants:
//! - It does no I/O of its own: routes, memberships, keys and revocations are looked up in memory.
//! - What goes upstream is built from nothing; the client's token, cookies and hop-by-hop headers are not in
//!   it. What comes downstream carries our headers only.
//! - An anonymous caller gets the same bytes for an existing and an absent server.
//! - What a stream holds while it is silent has nothing of the request in it but the request's id.

mod body;
mod events;
mod exchange;
mod gateway;
mod headers;
mod limits;
mod origin;
mod policy;
mod receive;
mod refuse;
mod session;
mod tunnel;
mod watch;

pub use crate::{
    body::{Body, BodyError},
    gateway::{Gateway, GatewayParts},
    limits::Limits,
};

#[cfg(test)]
mod tests;
