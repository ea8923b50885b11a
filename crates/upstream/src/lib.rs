//! Talking to upstreams: where a server's answers come from.
//!
//! Invariant: nothing here knows OAuth clients, tokens of ours, or a downstream connection.

mod exchange;

pub use crate::exchange::{Answer, Call, Event, EventStream, Outcome, PassBody, Upstream, UpstreamError, Verb};
