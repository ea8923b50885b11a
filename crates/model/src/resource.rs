use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ServerSlug, TenantSlug};

/// The path of a resource: `/t/{tenant}/{server}/mcp`. A slug may be an alias of a renamed thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourcePath {
    /// The tenant's slug in the URL.
    pub tenant: TenantSlug,
    /// The server's slug in the URL.
    pub server: ServerSlug,
}

/// The text is not a resource of this installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a resource of this installation")]
pub struct InvalidResource;

impl FromStr for ResourcePath {
    type Err = InvalidResource;

    fn from_str(path: &str) -> Result<Self, InvalidResource> {
        let rest = path.strip_prefix("/t/").and_then(|rest| rest.strip_suffix("/mcp")).ok_or(InvalidResource)?;
        let (tenant, server) = rest.split_once('/').ok_or(InvalidResource)?;
        Ok(Self {
            tenant: tenant.parse().map_err(|_| InvalidResource)?,
            server: server.parse().map_err(|_| InvalidResource)?,
        })
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/t/{}/{}/mcp", self.tenant, self.server)
    }
}

/// The canonical URI of one MCP endpoint: what a token's `aud` is, exactly (RFC 8707, RFC 9728).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(Box<str>);

impl Resource {
    /// The resource at `path` of the MCP origin, for example `https://mcp.example.com`.
    pub fn new(origin: &str, path: &ResourcePath) -> Self {
        Self(format!("{origin}{path}").into())
    }

    /// Reads a `resource` parameter (RFC 8707 §2). Real clients write the same URI in slightly different
    /// ways; accepted are an upper-case scheme and host, the scheme's default port, and a query (ChatGPT
    /// adds one). Everything else is not a resource of `origin`.
    pub fn parse(origin: &str, text: &str) -> Result<(Self, ResourcePath), InvalidResource> {
        let text = text.split_once('?').map_or(text, |(uri, _)| uri);
        let (scheme, rest) = text.split_once("://").ok_or(InvalidResource)?;
        let (authority, path) = rest.split_at(rest.find('/').ok_or(InvalidResource)?);
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.to_ascii_lowercase();
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        if format!("{scheme}://{authority}") != origin {
            return Err(InvalidResource);
        }
        let path: ResourcePath = path.parse()?;
        Ok((Self::new(origin, &path), path))
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_real_clients_send_and_nothing_else() {
        let origin = "https://mcp.example.com";
        let canonical = "https://mcp.example.com/t/acme/echo/mcp";
        for good in [
            canonical,
            "HTTPS://MCP.Example.com/t/acme/echo/mcp",
            "https://mcp.example.com:443/t/acme/echo/mcp",
            "https://mcp.example.com/t/acme/echo/mcp?utm=1",
        ] {
            assert_eq!(Resource::parse(origin, good).unwrap().0.as_str(), canonical, "{good}");
        }
        for bad in [
            "https://mcp.example.com/t/acme/echo/mcp/",
            "https://mcp.example.com/t/acme/echo/mcp#x",
            "https://mcp.example.com/t/acme/echo/../mcp/mcp",
            "https://mcp.example.com/t/acme/%65cho/mcp",
            "https://mcp.example.com.evil.test/t/acme/echo/mcp",
            "https://mcp.example.com@evil.test/t/acme/echo/mcp",
            "http://mcp.example.com/t/acme/echo/mcp",
            "https://mcp.example.com",
            "/t/acme/echo/mcp",
        ] {
            assert_eq!(Resource::parse(origin, bad).map(|(r, _)| r), Err(InvalidResource), "{bad}");
        }
    }
}
