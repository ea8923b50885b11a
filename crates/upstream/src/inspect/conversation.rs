use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use model::Principal;
use protocol::mcp::{Era, header};
use serde_json::{Value, json};
use storage::repo::LiveServer;

use super::{
    InspectError,
    answer::{self, Reply},
};
use crate::{Answer, Call, Upstream, Verb};

/// A few messages with one server, in the era that it speaks.
pub(super) struct Conversation<'a> {
    upstream: &'a dyn Upstream,
    server: Arc<LiveServer>,
    principal: Principal,
    pub(super) era: Era,
    /// The version in the header; empty for none.
    pub(super) version: String,
    /// The legacy session, once there is one.
    session: Option<HeaderValue>,
    next_id: u64,
}

/// Who we are, to a server.
pub(super) fn client_info() -> Value {
    json!({ "name": "portico", "title": "Portico", "version": env!("CARGO_PKG_VERSION") })
}

impl<'a> Conversation<'a> {
    pub(super) fn new(upstream: &'a dyn Upstream, server: Arc<LiveServer>, principal: Principal) -> Self {
        let (era, version, session) = (Era::Modern, String::new(), None);
        Self { upstream, server, principal, era, version, session, next_id: 1 }
    }

    /// Asks, and reads the answer.
    pub(super) async fn request(&mut self, method: &'static str, mut params: Value) -> Result<Reply, InspectError> {
        let id = self.next_id;
        self.next_id += 1;
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": client_info(),
            });
        }
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer = self.exchange(Verb::Post, Some(method), message.to_string()).await?;
        if let Answer::Pass(response) = &answer
            && self.era == Era::Legacy
            && let Some(session) = response.headers().get(header::SESSION_ID)
        {
            self.session = Some(session.clone());
        }
        answer::read(answer, id).await
    }

    /// Tells something that is not answered.
    pub(super) async fn notify(&mut self, method: &'static str) -> Result<(), InspectError> {
        let message = json!({ "jsonrpc": "2.0", "method": method });
        match self.exchange(Verb::Post, Some(method), message.to_string()).await? {
            Answer::Pass(response) if !response.status().is_success() => Err(match response.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => InspectError::NeedsAuthorization,
                status => InspectError::Status(status),
            }),
            Answer::Pass(_) | Answer::Events(_) => Ok(()),
        }
    }

    /// Ends the session, if there is one. A server need not allow it (405).
    pub(super) async fn end(mut self) {
        if self.session.is_some() {
            let _ = self.exchange(Verb::Delete, None, String::new()).await;
            self.session = None;
        }
    }

    async fn exchange(&self, verb: Verb, method: Option<&'static str>, body: String) -> Result<Answer, InspectError> {
        let mut headers = HeaderMap::new();
        if verb == Verb::Post {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Ok(version) = HeaderValue::from_str(&self.version)
            && !self.version.is_empty()
        {
            headers.insert(header::PROTOCOL_VERSION, version);
        }
        if let Some(method) = method.filter(|_| self.era == Era::Modern) {
            headers.insert(header::METHOD, HeaderValue::from_static(method));
        }
        if let Some(session) = &self.session {
            headers.insert(header::SESSION_ID, session.clone());
        }
        let call = Call {
            server: self.server.clone(),
            principal: self.principal.clone(),
            era: self.era,
            verb,
            headers,
            body: Bytes::from(body),
        };
        Ok(self.upstream.exchange(call).await?)
    }
}
