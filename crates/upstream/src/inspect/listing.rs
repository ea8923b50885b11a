use http::StatusCode;
use protocol::mcp::{Code, Era};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{InspectError, Reply, conversation::Conversation, failed};
use crate::{Offer, ServerInfo};

/// How many pages of one list are read.
const MAX_PAGES: usize = 50;
/// How many entries one list may have.
const MAX_ENTRIES: usize = 1000;
/// How large an offer may be, in bytes of JSON.
const MAX_OFFER: usize = 2 * 1024 * 1024;
/// How much is kept of a server's instructions, in bytes.
pub(super) const MAX_INSTRUCTIONS: usize = 16 * 1024;
/// How much is kept of any name, in bytes.
const MAX_NAME: usize = 256;

/// All entries of a list, over all of its pages.
pub(super) async fn all<T: DeserializeOwned>(
    conversation: &mut Conversation<'_>,
    method: &'static str,
    member: &'static str,
) -> Result<Vec<T>, InspectError> {
    let mut entries = Vec::new();
    let mut params = json!({});
    for _ in 0..MAX_PAGES {
        let mut page = match conversation.request(method, params).await? {
            Reply::Result(page) => page,
            // It declares the capability for something else, for example resources for templates only.
            Reply::Error(_, error) if error.code == Code::METHOD_NOT_FOUND.0 => return Ok(entries),
            Reply::Error(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)
            | Reply::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(InspectError::NeedsAuthorization);
            }
            Reply::Error(_, error) => return Err(failed(method, &error)),
            Reply::Status(status) => return Err(InspectError::Status(status)),
        };
        let listed: Vec<T> = serde_json::from_value(page[member].take())
            .map_err(|_| InspectError::NotMcp("what it lists is not what the protocol says"))?;
        entries.extend(listed);
        if entries.len() > MAX_ENTRIES {
            return Err(InspectError::TooLarge);
        }
        // The empty string is a cursor as well (`server/utilities/pagination`).
        let Value::String(cursor) = page["nextCursor"].take() else { return Ok(entries) };
        params = json!({ "cursor": cursor });
    }
    Err(InspectError::TooLarge)
}

/// Refuses an offer that is too large to keep with a revision.
pub(super) fn bound(offer: Offer) -> Result<Offer, InspectError> {
    let size = serde_json::to_vec(&offer).map_or(usize::MAX, |json| json.len());
    if size > MAX_OFFER { Err(InspectError::TooLarge) } else { Ok(offer) }
}

/// Who the server says it is: in `_meta` now, in a member of its own before.
pub(super) fn server_info(era: Era, said: &Value) -> ServerInfo {
    let at = match era {
        Era::Modern => "/_meta/io.modelcontextprotocol~1serverInfo",
        Era::Legacy => "/serverInfo",
    };
    let text = |key: &str| said.pointer(at).and_then(|info| info[key].as_str()).map(|text| cut(text, MAX_NAME));
    ServerInfo {
        name: text("name").unwrap_or_default(),
        title: text("title"),
        version: text("version").unwrap_or_default(),
    }
}

/// The beginning of a text, in at most `max` bytes.
pub(super) fn cut(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}
