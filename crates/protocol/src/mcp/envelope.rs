use std::borrow::Cow;

use serde_json::{error::Category, value::RawValue};

use super::{
    Code, Params, RpcError,
    peek::{Members, text},
};

/// The longest id that is taken, in bytes of JSON. An id is kept while an answer streams.
const MAX_ID: usize = 1024;

/// One JSON-RPC message. Borrows from the body it was read from and copies nothing of it, so the body can
/// be sent on as it came, with every member that we do not know.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// What the message is.
    pub message: Message<'a>,
    /// `params`, when there is one.
    pub params: Option<&'a RawValue>,
}

/// The three things a message can be.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// Wants an answer.
    Request {
        /// A string or an integer, as written.
        id: &'a RawValue,
        /// What is asked for.
        method: Cow<'a, str>,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: Cow<'a, str>,
    },
    /// Answers a request of the other side. Clients send these in the legacy era only.
    Response {
        /// Of which request; an error may be without.
        id: Option<&'a RawValue>,
        /// The answer, or the error object.
        outcome: Result<&'a RawValue, &'a RawValue>,
    },
}

/// The body is not one JSON-RPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON.
    #[error("the body is not valid JSON")]
    NotJson,
    /// An array of messages. Batches existed in 2025-03-26 only.
    #[error("batches are not supported: send one message in each request")]
    Batch,
    /// JSON, and no message.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    NotAMessage(&'static str),
}

impl Malformed {
    /// The error to answer with; its HTTP status is 400.
    pub fn rpc_error(self) -> RpcError {
        let code = if self == Self::NotJson { Code::PARSE_ERROR } else { Code::INVALID_REQUEST };
        RpcError::new(code, self.to_string())
    }
}

impl<'a> Envelope<'a> {
    /// Reads one message.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let members: Members<'a> = serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data if body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') => Malformed::Batch,
            Category::Data => Malformed::NotAMessage("its members are missing or ambiguous"),
            Category::Syntax | Category::Eof | Category::Io => Malformed::NotJson,
        })?;
        if members.jsonrpc.and_then(text).as_deref() != Some("2.0") {
            return Err(Malformed::NotAMessage("\"jsonrpc\" is not \"2.0\""));
        }
        Ok(Self { message: Message::of(&members)?, params: members.params })
    }

    /// The id of a request or a response, as written.
    pub fn id(&self) -> Option<&'a RawValue> {
        match &self.message {
            Message::Request { id, .. } => Some(id),
            Message::Response { id, .. } => *id,
            Message::Notification { .. } => None,
        }
    }

    /// The method of a request or a notification.
    pub fn method(&self) -> Option<&Cow<'a, str>> {
        match &self.message {
            Message::Request { method, .. } | Message::Notification { method } => Some(method),
            Message::Response { .. } => None,
        }
    }

    /// What we look at in `params`: empty when there are none, `None` when they are not an object or an
    /// ambiguous one.
    pub fn peek(&self) -> Option<Params<'a>> {
        self.params.map_or(Some(Params::default()), Params::read)
    }
}

impl<'a> Message<'a> {
    fn of(members: &Members<'a>) -> Result<Self, Malformed> {
        let id = members.id.map(legal_id).transpose()?;
        match (members.method, members.result, members.error) {
            (Some(method), None, None) => {
                let method = text(method).ok_or(Malformed::NotAMessage("\"method\" is not a string"))?;
                match id {
                    Some(Some(id)) => Ok(Self::Request { id, method }),
                    Some(None) => Err(Malformed::NotAMessage("\"id\" is null")),
                    None => Ok(Self::Notification { method }),
                }
            }
            (None, Some(result), None) => match id.flatten() {
                Some(id) => Ok(Self::Response { id: Some(id), outcome: Ok(result) }),
                None => Err(Malformed::NotAMessage("a result needs an \"id\"")),
            },
            (None, None, Some(error)) => Ok(Self::Response { id: id.flatten(), outcome: Err(error) }),
            _ => Err(Malformed::NotAMessage("it needs exactly one of \"method\", \"result\" and \"error\"")),
        }
    }
}

/// A string or an integer; `None` for `null`.
fn legal_id(id: &RawValue) -> Result<Option<&RawValue>, Malformed> {
    let text = id.get();
    let integer = text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
    match text {
        "null" => Ok(None),
        _ if text.len() > MAX_ID => Err(Malformed::NotAMessage("\"id\" is too long")),
        _ if text.starts_with('"') || integer => Ok(Some(id)),
        _ => Err(Malformed::NotAMessage("\"id\" is not a string or an integer")),
    }
}

#[cfg(test)]
mod tests;
