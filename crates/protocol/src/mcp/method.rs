//! The methods that a gateway treats by name. A method that is not here is passed on like any other.

/// Legacy: opens a session.
pub const INITIALIZE: &str = "initialize";
/// Modern: what the server offers.
pub const DISCOVER: &str = "server/discover";
/// Legacy: are you there?
pub const PING: &str = "ping";
/// Calls a tool.
pub const TOOLS_CALL: &str = "tools/call";
/// Lists tools.
pub const TOOLS_LIST: &str = "tools/list";
/// Lists resources.
pub const RESOURCES_LIST: &str = "resources/list";
/// Lists resource templates.
pub const RESOURCE_TEMPLATES_LIST: &str = "resources/templates/list";
/// Reads a resource.
pub const RESOURCES_READ: &str = "resources/read";
/// Lists prompts.
pub const PROMPTS_LIST: &str = "prompts/list";
/// Fills in a prompt.
pub const PROMPTS_GET: &str = "prompts/get";
/// Modern: a stream for what the server sends by itself.
pub const LISTEN: &str = "subscriptions/listen";
/// Tells how far a request is.
pub const PROGRESS: &str = "notifications/progress";

/// What the modern era took away (`changelog`, 2026-07-28): answered with -32601 there.
const REMOVED: &[&str] = &[
    INITIALIZE,
    PING,
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/list",
    "tasks/result",
];

/// What only looks and asks: discovery, lists, reads, prompts, and the conversation around them.
const READS: &[&str] = &[
    INITIALIZE,
    DISCOVER,
    PING,
    TOOLS_LIST,
    RESOURCES_LIST,
    RESOURCE_TEMPLATES_LIST,
    RESOURCES_READ,
    PROMPTS_LIST,
    PROMPTS_GET,
    "completion/complete",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    LISTEN,
];

/// Whether a modern client may not use `method` any more.
pub fn is_removed(method: &str) -> bool {
    REMOVED.contains(&method)
}

/// Whether `method` only reads. What is not known to read is treated as a call.
pub fn only_reads(method: &str) -> bool {
    READS.contains(&method) || method.starts_with("notifications/")
}

/// Which of a request's parameters `Mcp-Name` repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.taskId`, of the tasks extension.
    TaskId,
}

/// Which parameter of `method` the header `Mcp-Name` repeats, if one.
pub fn named(method: &str) -> Option<Named> {
    match method {
        TOOLS_CALL | PROMPTS_GET => Some(Named::Name),
        RESOURCES_READ => Some(Named::Uri),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some(Named::TaskId),
        _ => None,
    }
}
