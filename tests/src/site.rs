use std::fmt;

use anyhow::Result;
use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use crate::Answer;

/// An installation at [`crate::ORIGIN`], wherever it runs.
#[async_trait]
pub trait Site: Send + Sync + fmt::Debug {
    /// Sends a request and reads the whole answer. An error is a connection that failed or an answer that did not
    /// come in time.
    async fn try_send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer>;
}

impl dyn Site + '_ {
    /// Sends a request to an installation that must answer.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.try_send(method, path, headers, body).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Sends a modern MCP request with a token, if there is one.
    pub async fn try_call(&self, path: &str, token: Option<&str>, method: &str, params: Value) -> Result<Answer> {
        let (headers, body) = crate::modern(method, params);
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        if let Some(bearer) = &bearer {
            all.push(("authorization", bearer));
        }
        self.try_send(Method::POST, path, &all, &body).await
    }

    /// The same, of an installation that must answer.
    pub async fn call(&self, path: &str, token: Option<&str>, method: &str, params: Value) -> Answer {
        let answer = self.try_call(path, token, method, params).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }
}
