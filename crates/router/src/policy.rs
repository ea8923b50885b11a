//! What a message needs its token to allow. Whether the person may call at all was the guard's question.

use model::Scope;
use protocol::mcp::{Message, method};

/// The scope that a message needs. What a client answers to a server's question belongs to a conversation
/// that had its own check.
pub(crate) fn scope(message: &Message<'_>) -> &'static str {
    match message {
        Message::Request { method, .. } | Message::Notification { method } if !method::only_reads(method) => {
            Scope::TOOLS
        }
        Message::Request { .. } | Message::Notification { .. } | Message::Response { .. } => Scope::READ,
    }
}
