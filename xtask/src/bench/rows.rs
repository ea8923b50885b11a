//! The requests that are measured, and the proof that they are answered as they should be.

use anyhow::{Context as _, Result, ensure};

use super::{
    http::{Request, once},
    person::Person,
    place::{EMAIL, PASSWORD, Place},
};

/// The endpoint behind which the upstream is.
const TOOLS: &str = "/t/bench/tools/mcp";
/// The endpoint of the built-in demo server.
const DEMO: &str = "/t/bench/demo/mcp";

/// One kind of request.
pub(crate) struct Row {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// As it is sent to Portico.
    pub(crate) request: Request,
    /// As it is sent to nginx; `None` for what nginx has nothing to compare with.
    pub(crate) to_nginx: Option<Request>,
    /// What its cost may be, as a ratio to nginx.
    pub(crate) target: Option<f64>,
}

/// Access tokens for the two servers, by the whole authorization code flow.
pub(crate) fn tokens(portico: &Place) -> Result<(String, String)> {
    let mut person = Person::sign_in(portico.port, EMAIL, PASSWORD)?;
    let mut token = |path: &str| person.token(&format!("http://127.0.0.1:{}{path}", portico.port));
    Ok((token(TOOLS)?, token(DEMO)?))
}

/// All rows.
pub(crate) fn all(portico: &Place, upstream: &Place, tools: &str, demo: &str) -> Result<Vec<Row>> {
    let call = |name: &str| format!(r#""name":"{name}","arguments":{{"text":"hello, world"}},"#);
    let row =
        |name, request: Request, target| Row { name, to_nginx: Some(request.clone()), request, target: Some(target) };
    let (legacy, legacy_direct) = legacy(portico, upstream, tools)?;
    Ok(vec![
        row("small `tools/call`", modern(TOOLS, tools, "tools/call", Some("echo"), &call("echo")), 1.2),
        row("the same, answered as a stream", modern(TOOLS, tools, "tools/call", Some("stream"), &call("stream")), 1.2),
        row("list of 100 tools (37 KB)", modern(TOOLS, tools, "tools/list", None, ""), 0.6),
        row("result of 64 KiB", modern(TOOLS, tools, "tools/call", Some("large"), &call("large")), 0.7),
        Row {
            name: "small `tools/call`, legacy session",
            request: legacy,
            to_nginx: Some(legacy_direct),
            target: None,
        },
        Row {
            name: "built-in `echo`, no upstream",
            request: modern(DEMO, demo, "tools/call", Some("echo"), &call("echo")),
            to_nginx: None,
            target: None,
        },
    ])
}

/// A stream that stands open by itself.
pub(crate) fn listen(token: &str) -> Request {
    modern(TOOLS, token, "subscriptions/listen", None, r#""notifications":{"toolsListChanged":true},"#)
}

/// A request of the protocol of 2026-07-28.
fn modern(path: &str, token: &str, method: &str, name: Option<&str>, params: &str) -> Request {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#);
    let request = message(path, token, body).with("mcp-protocol-version", "2026-07-28").with("mcp-method", method);
    match name {
        Some(name) => request.with("mcp-name", name),
        None => request,
    }
}

fn message(path: &str, token: &str, body: String) -> Request {
    Request::post(path, "application/json", body)
        .with("accept", "application/json, text/event-stream")
        .with("authorization", format!("Bearer {token}"))
}

/// The same call in a session of the protocol of 2025-11-25: to Portico, which seals the session's id, and to
/// the upstream or nginx, which do not.
fn legacy(portico: &Place, upstream: &Place, token: &str) -> Result<(Request, Request)> {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello, world"}}}"#;
    let open = |place: &Place| -> Result<Request> {
        let answer = once(place.port, &message(TOOLS, token, initialize.to_owned()))?.expect(200)?;
        let session = answer.header("mcp-session-id").context("no session")?.to_owned();
        let call = message(TOOLS, token, call.to_owned());
        Ok(call.with("mcp-protocol-version", "2025-11-25").with("mcp-session-id", session))
    };
    let (sealed, plain) = (open(portico)?, open(upstream)?);
    ensure!(sealed.headers.last() != plain.headers.last(), "the session's id is not sealed");
    Ok((sealed, plain))
}

/// That answers through Portico and through nginx are the upstream's, byte for byte, and that Portico refuses
/// the same requests without a token and with an altered one.
pub(crate) fn check(rows: &[Row], portico: &Place, nginx: &Place, upstream: &Place) -> Result<()> {
    for row in rows {
        let ours = once(portico.port, &row.request)?.expect(200).context(row.name)?;
        match &row.to_nginx {
            Some(request) => {
                let plain = once(upstream.port, request)?.expect(200).context(row.name)?;
                for through in [&ours, &once(nginx.port, request)?.expect(200).context(row.name)?] {
                    let same =
                        through.body == plain.body && through.header("content-type") == plain.header("content-type");
                    ensure!(same, "{}: not the upstream's answer: {through:?}", row.name);
                }
                println!("  {}: {} bytes, the upstream's", row.name, plain.body.len());
            }
            None => ensure!(ours.body.contains("hello, world"), "{}: {ours:?}", row.name),
        }
        let without = changed(&row.request, |_| None);
        once(portico.port, &without)?.expect(401).with_context(|| format!("{}: no token", row.name))?;
        let altered = changed(&row.request, |token| Some(altered(token)));
        once(portico.port, &altered)?.expect(401).with_context(|| format!("{}: an altered token", row.name))?;
    }
    println!("  no token and a token with an altered signature: 401 for each");
    Ok(())
}

/// The request with another `Authorization`.
fn changed(request: &Request, change: impl Fn(&str) -> Option<String>) -> Request {
    let mut request = request.clone();
    request.headers = std::mem::take(&mut request.headers)
        .into_iter()
        .filter_map(|(name, value)| match name {
            "authorization" => change(&value).map(|value| (name, value)),
            _ => Some((name, value)),
        })
        .collect();
    request
}

/// The token with another character in the middle of its signature.
fn altered(token: &str) -> String {
    let at = token.rfind('.').unwrap_or_default() + 20;
    let other = if token[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_token_differs_in_one_character_of_its_signature() {
        let token = format!("Bearer head.claims.{}", "x".repeat(86));
        let altered = altered(&token);
        let differences: Vec<_> = token.chars().zip(altered.chars()).enumerate().filter(|(_, (a, b))| a != b).collect();
        assert_eq!((altered.len(), differences.len()), (token.len(), 1));
        assert!(differences[0].0 > "Bearer head.claims.".len());
    }
}
