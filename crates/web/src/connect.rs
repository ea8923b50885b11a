//! How people connect each AI client to a server: the one place that knows the clients' own forms.
//!
//! The forms were checked against the vendors' documentation in November 2026: code.claude.com/docs/en/mcp,
//! support.claude.com (custom connectors), cursor.com/docs/mcp/install-links,
//! code.visualstudio.com/docs/copilot/guides/mcp-developer-guide, developers.openai.com/apps-sdk.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use model::ServerSlug;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use url::{Host, Url};

/// What `encodeURIComponent` of ECMAScript leaves as it is, apart from letters and digits.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

const CLOUD: &str = "This client calls from its vendor's network, and the URL is only reachable from yours. \
    It works once Portico runs at a public https address.";

/// How one client is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// For fragments: `#connect-claude-code`.
    pub(crate) id: &'static str,
    /// What the client is called.
    pub(crate) client: &'static str,
    /// Why it will not work from here, if it will not.
    pub(crate) warning: Option<&'static str>,
    /// The link that does it in one click.
    pub(crate) link: Option<Link>,
    /// What to do, in order.
    pub(crate) steps: Vec<&'static str>,
    /// What to copy.
    pub(crate) snippets: Vec<Snippet>,
}

/// A link that opens the client and adds the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) label: &'static str,
}

/// A text to copy, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    pub(crate) label: &'static str,
    pub(crate) text: String,
}

/// All ways to connect to the server at `url`. Clients know the server by its slug, which every one of
/// them takes as a name and which needs no quoting in a shell.
pub(crate) fn ways(slug: &ServerSlug, url: &str) -> Vec<Way> {
    let name = slug.as_str();
    let warning = (!public(url)).then_some(CLOUD);
    vec![
        claude_ai(url, warning),
        claude_desktop(name, url, warning),
        claude_code(name, url),
        chatgpt(url, warning),
        cursor(name, url),
        vscode(name, url),
        any(name, url),
    ]
}

fn claude_ai(url: &str, warning: Option<&'static str>) -> Way {
    Way {
        id: "claude-ai",
        client: "claude.ai",
        warning,
        link: None,
        steps: vec![
            "Open Settings, then Connectors, and choose “Add custom connector”. In a Team or Enterprise plan an owner does this once for everybody.",
            "Give it a name and paste the URL below. Leave the OAuth fields under “Advanced settings” empty.",
            "Choose “Connect”, sign in here and allow it.",
        ],
        snippets: vec![Snippet { label: "Remote MCP server URL", text: url.to_owned() }],
    }
}

fn claude_desktop(name: &str, url: &str, warning: Option<&'static str>) -> Way {
    let mut args = vec!["-y", "mcp-remote", url];
    // mcp-remote refuses http unless the host is the person's own machine or they insist.
    if url.starts_with("http://") && !own_machine(url) {
        args.push("--allow-http");
    }
    let config = json!({ "mcpServers": { name: { "command": "npx", "args": args } } });
    let steps = if warning.is_none() {
        vec![
            "Open Settings, then Connectors, choose “Add custom connector” and paste the URL.",
            "Or, where custom connectors are not available: open Settings, then Developer, then “Edit Config”, add the entry below and restart Claude Desktop. It needs Node.js.",
        ]
    } else {
        vec![
            "Connectors are called from the vendor's network, which cannot reach this URL. mcp-remote calls from your own machine and needs Node.js.",
            "Open Settings, then Developer, then “Edit Config”, add the entry below and restart Claude Desktop.",
        ]
    };
    Way {
        id: "claude-desktop",
        client: "Claude Desktop",
        warning: None,
        link: None,
        steps,
        snippets: vec![Snippet { label: "claude_desktop_config.json", text: pretty(&config) }],
    }
}

fn claude_code(name: &str, url: &str) -> Way {
    Way {
        id: "claude-code",
        client: "Claude Code",
        warning: None,
        link: None,
        steps: vec!["Run this in a terminal. Then start claude, enter /mcp, choose the server and “Authenticate”."],
        snippets: vec![Snippet {
            label: "In a terminal",
            text: format!("claude mcp add --transport http {name} {url}"),
        }],
    }
}

fn chatgpt(url: &str, warning: Option<&'static str>) -> Way {
    Way {
        id: "chatgpt",
        client: "ChatGPT",
        warning,
        link: None,
        steps: vec![
            "On the web open Settings, then Apps (once called Connectors), then “Advanced settings”, and switch on Developer mode. In a workspace an admin may have to allow it.",
            "Back in Apps choose “Create app”, enter a name and the URL below, and choose OAuth as authentication.",
            "Sign in here and allow it. In a chat, pick it from the + menu.",
        ],
        snippets: vec![Snippet { label: "MCP server URL", text: url.to_owned() }],
    }
}

fn cursor(name: &str, url: &str) -> Way {
    let config = BASE64_STANDARD.encode(json!({ "url": url }).to_string());
    let href = format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
        component(name),
        component(&config)
    );
    let file = json!({ "mcpServers": { name: { "url": url } } });
    Way {
        id: "cursor",
        client: "Cursor",
        warning: None,
        link: Some(Link { href, label: "Add to Cursor" }),
        steps: vec!["Or add this by hand. Cursor then shows “Needs login” beside the server: click it."],
        snippets: vec![Snippet { label: "~/.cursor/mcp.json, or .cursor/mcp.json in a project", text: pretty(&file) }],
    }
}

fn vscode(name: &str, url: &str) -> Way {
    let entry = json!({ "name": name, "type": "http", "url": url }).to_string();
    let file = json!({ "servers": { name: { "type": "http", "url": url } } });
    Way {
        id: "vscode",
        client: "VS Code",
        warning: None,
        link: Some(Link { href: format!("vscode:mcp/install?{}", component(&entry)), label: "Add to VS Code" }),
        steps: vec!["Or use the command line or a file. VS Code opens the sign-in when it starts the server."],
        snippets: vec![
            Snippet { label: "In a terminal", text: format!("code --add-mcp '{entry}'") },
            Snippet { label: ".vscode/mcp.json in a workspace", text: pretty(&file) },
        ],
    }
}

fn any(name: &str, url: &str) -> Way {
    let file = json!({ "mcpServers": { name: { "type": "http", "url": url } } });
    Way {
        id: "json",
        client: "Any other client (JSON)",
        warning: None,
        link: None,
        steps: vec![
            "Most clients read this form. The transport is streamable HTTP, and the client finds the sign-in by itself.",
        ],
        snippets: vec![Snippet { label: "MCP configuration", text: pretty(&file) }],
    }
}

fn component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// Whether a vendor's cloud can reach the URL: https at a name or address that is not a private one.
fn public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let reachable = match url.host() {
        Some(Host::Domain(name)) => {
            name.contains('.') && ![".localhost", ".local", ".internal", ".lan"].iter().any(|end| name.ends_with(end))
        }
        Some(Host::Ipv4(ip)) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()),
        Some(Host::Ipv6(ip)) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified())
        }
        None => false,
    };
    url.scheme() == "https" && reachable
}

/// Whether the URL is on the machine of whoever opens it.
fn own_machine(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    })
}

#[cfg(test)]
mod tests;
