//! Looking at a server before it goes live: which era it speaks, and what it offers.

mod answer;
mod conversation;
mod listing;

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use model::{Principal, RevisionId, ServerId, TenantId, UpstreamSource, UserId};
use protocol::mcp::{Era, LATEST_LEGACY, MODERN_VERSIONS, RpcError, is_legacy_version, is_modern_version, method};
use serde_json::{Value, json};
use storage::repo::LiveServer;
use tokio::time::{Instant, timeout, timeout_at};

use self::{
    answer::Reply,
    conversation::Conversation,
    listing::{cut, server_info},
};
use crate::{Offer, Upstream, UpstreamError};

/// For everything together.
const TOTAL: Duration = Duration::from_secs(20);
/// For the first question; a server that does not know it may leave it unanswered.
const PROBE: Duration = Duration::from_secs(8);
/// For ending a session, after which nobody waits.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a server could not be looked at. The messages are sentences for the person who registers it.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Its address is one that the guard refuses.
    #[error("Portico may not connect to this address. It is private, local, or one of Portico's own.")]
    Forbidden,
    /// No connection, or it broke off.
    #[error("The server cannot be reached. Check the URL, and that the server is running.")]
    Unreachable(#[source] UpstreamError),
    /// 401 or 403.
    #[error("The server asks for authorization, which Portico cannot give it yet.")]
    NeedsAuthorization,
    /// A redirect, which is not followed; where to, in the server's words, cut.
    #[error("The server redirects to {0}. If you trust that address, enter it instead.")]
    Redirects(String),
    /// It answers HTTP, and its status is a failure.
    #[error("The server answers with HTTP status {0}.")]
    Status(StatusCode),
    /// What it answers is not MCP; the reason follows.
    #[error("This is not an MCP server over streamable HTTP: {0}.")]
    NotMcp(&'static str),
    /// It speaks versions that we do not know.
    #[error("The server speaks only versions of MCP that Portico does not: {0}.")]
    UnknownVersion(String),
    /// It answers a question that it has to answer with an error.
    #[error("The server answers {method} with an error: {message}")]
    Failed {
        /// What was asked.
        method: &'static str,
        /// The server's own words, cut.
        message: String,
    },
    /// It took too long.
    #[error("The server took too long to answer.")]
    TooSlow,
    /// It offers more than we take in.
    #[error("The server offers more than Portico can review.")]
    TooLarge,
    /// There is no in-process server of this name in this build.
    #[error("There is no built-in server of this name.")]
    UnknownBuiltin,
}

impl From<UpstreamError> for InspectError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Forbidden | UpstreamError::Looping => Self::Forbidden,
            UpstreamError::Unreachable(_) => Self::Unreachable(error),
            UpstreamError::TimedOut => Self::TooSlow,
            UpstreamError::Nonsense(why) => Self::NotMcp(why),
            UpstreamError::TooLarge => Self::TooLarge,
            UpstreamError::UnknownBuiltin => Self::UnknownBuiltin,
        }
    }
}

/// Asks a server what it offers, for `user`, who is about to register it in `tenant`. Takes at most
/// about 20 seconds. A legacy session that was opened for it is ended.
pub async fn inspect(
    upstream: &dyn Upstream,
    source: UpstreamSource,
    tenant: TenantId,
    user: UserId,
) -> Result<Offer, InspectError> {
    let until = Instant::now() + TOTAL;
    let mut conversation = Conversation::new(upstream, server(source, tenant), Principal::User { id: user });
    let looked = timeout_at(until, look(&mut conversation)).await;
    // Whether or not it worked: an open session is ended.
    let _ = timeout(GOODBYE, conversation.end()).await;
    looked.map_err(|_| InspectError::TooSlow)?
}

/// The server as exchanges name it. It is not registered yet, so it has no ids, and nothing looks at them.
fn server(source: UpstreamSource, tenant: TenantId) -> Arc<LiveServer> {
    Arc::new(LiveServer {
        id: ServerId::from_bytes(&[0; 16]).expect("an id has 16 bytes"),
        tenant,
        slugs: Vec::new(),
        name: "inspected server".parse().expect("it is 1 to 80 visible characters"),
        revision: RevisionId::from_bytes(&[0; 16]).expect("an id has 16 bytes"),
        source,
    })
}

/// What a server says about itself, before its lists.
struct Introduction {
    version: String,
    /// The result of `server/discover` or of `initialize`.
    said: Value,
}

async fn look(conversation: &mut Conversation<'_>) -> Result<Offer, InspectError> {
    let introduction = match discover(conversation).await? {
        Some(introduction) => introduction,
        None => initialize(conversation).await?,
    };
    let said = &introduction.said;
    let has = |what: &str| said.pointer(&format!("/capabilities/{what}")).is_some_and(Value::is_object);
    let (tools, prompts, resources) = (has("tools"), has("prompts"), has("resources"));
    let mut offer = Offer {
        era: conversation.era,
        server: server_info(conversation.era, said),
        instructions: said["instructions"].as_str().map(|text| cut(text, listing::MAX_INSTRUCTIONS)),
        protocol_version: introduction.version,
        tools: Vec::new(),
        prompts: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
    };
    if tools {
        offer.tools = listing::all(conversation, method::TOOLS_LIST, "tools").await?;
    }
    if prompts {
        offer.prompts = listing::all(conversation, method::PROMPTS_LIST, "prompts").await?;
    }
    if resources {
        offer.resources = listing::all(conversation, method::RESOURCES_LIST, "resources").await?;
        offer.templates = listing::all(conversation, method::RESOURCE_TEMPLATES_LIST, "resourceTemplates").await?;
    }
    listing::bound(offer)
}

/// Asks as a modern client does. `None` when the answer does not come from a modern server; which answers
/// say so is in `basic/versioning`. The question is one that no server acts on: legacy servers without
/// sessions would execute any other.
async fn discover(conversation: &mut Conversation<'_>) -> Result<Option<Introduction>, InspectError> {
    conversation.era = Era::Modern;
    MODERN_VERSIONS[0].clone_into(&mut conversation.version);
    let asked = timeout(PROBE, conversation.request(method::DISCOVER, json!({}))).await;
    let error = match asked {
        Err(_) | Ok(Err(InspectError::TooSlow)) => return Ok(None),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(Reply::Result(said))) => {
            return Ok(common_version(&said["supportedVersions"]).map(|version| Introduction { version, said }));
        }
        Ok(Ok(Reply::Status(status))) => return refusal(status).map_or(Ok(None), Err),
        Ok(Ok(Reply::Error(status, error))) => match refusal(status) {
            Some(refusal) => return Err(refusal),
            None => error,
        },
    };
    match error.code {
        // A modern server that misses something in a question that has everything.
        -32020 | -32021 => Err(failed(method::DISCOVER, &error)),
        // It may speak a legacy version as well; if not, that is the reason to give.
        -32022 => match initialize(conversation).await {
            Ok(introduction) => Ok(Some(introduction)),
            Err(_) => Err(InspectError::UnknownVersion(supported(&error))),
        },
        _ => Ok(None),
    }
}

/// The statuses that tell nothing about the era, and end the attempt.
fn refusal(status: StatusCode) -> Option<InspectError> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(InspectError::NeedsAuthorization),
        StatusCode::TOO_MANY_REQUESTS => Some(InspectError::Status(status)),
        _ => None,
    }
}

fn common_version(supported: &Value) -> Option<String> {
    let mut versions = supported.as_array()?.iter().filter_map(Value::as_str);
    versions.find(|version| is_modern_version(version)).map(ToOwned::to_owned)
}

fn supported(error: &RpcError) -> String {
    let versions = error.data.as_ref().and_then(|data| data["supported"].as_array());
    let names: Vec<&str> = versions.into_iter().flatten().filter_map(Value::as_str).collect();
    cut(&names.join(", "), 200)
}

fn failed(method: &'static str, error: &RpcError) -> InspectError {
    InspectError::Failed { method, message: cut(&error.message, 300) }
}

/// Opens a session as a legacy client does.
async fn initialize(conversation: &mut Conversation<'_>) -> Result<Introduction, InspectError> {
    conversation.era = Era::Legacy;
    // The version header comes after the handshake (2025-11-25, `basic/transports`).
    conversation.version = String::new();
    let params = json!({
        "protocolVersion": LATEST_LEGACY,
        "capabilities": {},
        "clientInfo": conversation::client_info(),
    });
    let said = match conversation.request(method::INITIALIZE, params).await? {
        Reply::Result(said) => said,
        Reply::Error(status, error) => return Err(refusal(status).unwrap_or_else(|| not_ours(status, &error))),
        Reply::Status(status) => {
            return Err(refusal(status).unwrap_or(match status.as_u16() {
                400 | 404 | 405 => InspectError::NotMcp("it does not know the protocol's first message"),
                _ => InspectError::Status(status),
            }));
        }
    };
    let version = said["protocolVersion"].as_str().ok_or(InspectError::NotMcp("it names no protocol version"))?;
    if !is_legacy_version(version) {
        return Err(InspectError::UnknownVersion(cut(version, 200)));
    }
    let version = version.to_owned();
    conversation.version.clone_from(&version);
    conversation.notify("notifications/initialized").await?;
    Ok(Introduction { version, said })
}

fn not_ours(status: StatusCode, error: &RpcError) -> InspectError {
    if status.is_server_error() { InspectError::Status(status) } else { failed(method::INITIALIZE, error) }
}

#[cfg(test)]
mod tests;
