use serde::{Deserialize, Serialize};
use url::Url;

/// Where a server's answers come from, as a revision stores it and as `apply` files write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum UpstreamSource {
    /// A remote server over streamable HTTP, of either era.
    Http {
        /// Its MCP endpoint.
        url: Url,
    },
    /// A server that runs inside this process.
    Builtin {
        /// Which one, for example `demo`.
        name: Box<str>,
    },
}
