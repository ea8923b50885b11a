use std::sync::OnceLock;

use fred::{
    error::Error,
    interfaces::LuaInterface as _,
    types::{FromValue, Value, scripts},
};

use crate::pool::Line;

/// A Lua script: one step for everybody else.
pub(crate) struct Script {
    text: &'static str,
    hash: OnceLock<scripts::Script>,
}

impl Script {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, hash: OnceLock::new() }
    }

    /// Runs it by its hash. A server that does not know it (a new one, or after SCRIPT FLUSH) gets the text,
    /// and remembers it.
    pub(crate) async fn run<R: FromValue>(&self, line: &Line, key: &str, arguments: Vec<Value>) -> Result<R, Error> {
        let hash = self.hash.get_or_init(|| scripts::Script::from_lua(self.text)).sha1();
        match line.evalsha(hash.clone(), key, arguments.clone()).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => line.eval(self.text, key, arguments).await,
            done => done,
        }
    }
}
