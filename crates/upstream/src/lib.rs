//! Talking to upstreams: where a server's answers come from.
//!
//! Invariant: nothing here knows OAuth clients, tokens of ours, or a downstream connection.

pub mod builtin;
pub mod http;

mod dispatch;
mod exchange;
mod inspect;
mod offer;

pub use crate::{
    dispatch::Upstreams,
    exchange::{Answer, Call, Event, EventStream, Outcome, PassBody, Upstream, UpstreamError, Verb},
    inspect::{InspectError, inspect},
    offer::{Annotations, Offer, Prompt, PromptArgument, ResourceInfo, ServerInfo, Template, Tool},
};
