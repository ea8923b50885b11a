use percent_encoding::percent_decode_str;

use super::*;

const URL: &str = "https://mcp.example.com/t/acme/echo/mcp";
const HERE: &str = "http://127.0.0.1:8080/t/acme/echo/mcp";

fn way(id: &str, url: &str) -> Way {
    let slug = "echo".parse().unwrap();
    ways(&slug, url).into_iter().find(|way| way.id == id).unwrap()
}

#[test]
fn the_command_of_claude_code_is_one_line_without_quotes() {
    let text = &way("claude-code", URL).snippets[0].text;
    assert_eq!(text, "claude mcp add --transport http echo https://mcp.example.com/t/acme/echo/mcp");
}

#[test]
fn the_link_of_cursor_holds_its_configuration() {
    let link = Url::parse(&way("cursor", URL).link.unwrap().href).unwrap();
    assert_eq!(
        (link.scheme(), link.host_str(), link.path()),
        ("cursor", Some("anysphere.cursor-deeplink"), "/mcp/install")
    );
    let pairs: Vec<_> = link.query_pairs().into_owned().collect();
    assert_eq!(pairs[0], ("name".to_owned(), "echo".to_owned()));
    assert_eq!(pairs[1].0, "config");
    let config: Value = serde_json::from_slice(&BASE64_STANDARD.decode(&pairs[1].1).unwrap()).unwrap();
    assert_eq!(config, json!({ "url": URL }));
}

#[test]
fn the_link_of_vs_code_holds_its_configuration() {
    let href = way("vscode", URL).link.unwrap().href;
    let query = href.strip_prefix("vscode:mcp/install?").unwrap();
    // Encoded as a whole: nothing that would end the query or start a second parameter.
    assert!(!query.contains(['&', '=', '#', '"', '{', ' ', ':', '/']), "{query}");
    let entry: Value = serde_json::from_str(&percent_decode_str(query).decode_utf8().unwrap()).unwrap();
    assert_eq!(entry, json!({ "name": "echo", "type": "http", "url": URL }));
    let command = &way("vscode", URL).snippets[0].text;
    assert_eq!(command, &format!("code --add-mcp '{{\"name\":\"echo\",\"type\":\"http\",\"url\":\"{URL}\"}}'"));
}

#[test]
fn every_file_is_json_with_the_url_in_it() {
    let files = [("claude-desktop", 0), ("cursor", 0), ("vscode", 1), ("json", 0)];
    for (id, at) in files {
        let text = &way(id, URL).snippets[at].text;
        let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert!(value.to_string().contains(URL), "{id}");
        assert!(text.lines().count() > 3, "{id} is written over lines");
    }
}

#[test]
fn clients_in_a_cloud_are_warned_of_private_addresses() {
    for here in [
        HERE,
        "https://portico.local/t/acme/echo/mcp",
        "https://10.0.0.5/t/acme/echo/mcp",
        "https://[::1]/t/acme/echo/mcp",
        "https://box/t/acme/echo/mcp",
    ] {
        assert!(way("claude-ai", here).warning.is_some(), "{here}");
        assert!(way("chatgpt", here).warning.is_some(), "{here}");
        assert!(way("claude-code", here).warning.is_none(), "{here}");
    }
    assert_eq!(way("claude-ai", URL).warning, None);
}

#[test]
fn mcp_remote_is_told_of_plain_http_only_where_it_would_refuse() {
    let args = |url: &str| way("claude-desktop", url).snippets[0].text.clone();
    assert!(!args(URL).contains("--allow-http"));
    assert!(!args(HERE).contains("--allow-http"));
    assert!(args("http://192.168.1.5:8080/t/acme/echo/mcp").contains("--allow-http"));
}

#[test]
fn no_two_ways_share_an_id() {
    let slug = "echo".parse().unwrap();
    let mut ids: Vec<_> = ways(&slug, URL).iter().map(|way| way.id).collect();
    assert_eq!(ids.len(), 7);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}
