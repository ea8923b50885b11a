use super::*;

const CURSOR: &str = "cursor://anysphere.cursor-mcp/oauth/callback";

fn register(text: &str) -> Result<(RedirectKind, String), InvalidRedirect> {
    RedirectUri::register(text, &[CURSOR.to_owned()]).map(|uri| (uri.kind, uri.target.to_owned()))
}

#[test]
fn what_real_clients_register() {
    use RedirectKind::{Https, Loopback, PrivateScheme};
    for (text, kind, target) in [
        ("https://claude.ai/api/mcp/auth_callback", Https, "claude.ai"),
        ("https://chatgpt.com/connector/oauth/abc?x=1", Https, "chatgpt.com"),
        ("https://app.example.com:8443/cb", Https, "app.example.com"),
        ("https://xn--bcher-kva.example/cb", Https, "xn--bcher-kva.example"),
        ("http://localhost/callback", Loopback, "localhost"),
        ("http://localhost:6274/oauth/callback", Loopback, "localhost"),
        ("http://127.0.0.1/", Loopback, "127.0.0.1"),
        ("http://127.0.0.1:33418", Loopback, "127.0.0.1"),
        ("http://[::1]:5000/cb", Loopback, "[::1]"),
        (CURSOR, PrivateScheme, "cursor:"),
        ("com.example.app:/cb", PrivateScheme, "com.example.app:"),
    ] {
        assert_eq!(register(text), Ok((kind, target.to_owned())), "{text}");
    }
}

#[test]
fn what_nobody_may_register() {
    use InvalidRedirect::{Authority, Characters, DotSegment, Fragment, Host, Scheme};
    let long = format!("https://a.example/{}", "a".repeat(2048));
    for (text, error) in [
        ("", Characters),
        (long.as_str(), Characters),
        ("https://a.example/a b", Characters),
        ("https://a.example/\u{e9}", Characters),
        ("https://b\u{fc}cher.example/", Characters),
        ("https://a.example\\@evil.example/", Characters),
        ("https://a.example/\t", Characters),
        ("https://a.example/\r\nX: y", Characters),
        ("https://*.example.com/cb", Characters),
        ("https://a.example/%0d%0a", Characters),
        ("https://a.example/%5c", Characters),
        ("https://a.example/%zz", Characters),
        ("https://a.example/#", Fragment),
        ("https://a.example/#x", Fragment),
        ("https://user@a.example/", Authority),
        ("http://localhost@evil.example/", Authority),
        ("http://localhost:80@evil.example/", Authority),
        ("https://a.example:/", Authority),
        ("https://a.example:0/", Authority),
        ("https://a.example:70000/", Authority),
        ("https://a.example:+80/", Authority),
        ("https://a.example./cb", Authority),
        ("https://a..example/cb", Authority),
        ("https:///cb", Authority),
        ("https:a.example/cb", Authority),
        ("http://[::ffff:127.0.0.1]/cb", Authority),
        ("http://[::1%25eth0]/cb", Authority),
        ("https://a.example/x/../cb", DotSegment),
        ("https://a.example/x/%2e%2e/cb", DotSegment),
        ("https://a.example/x/.%2E/cb", DotSegment),
        ("https://a.example/./cb", DotSegment),
        ("https://10.0.0.1/cb", Host),
        ("https://a.0x7f/cb", Host),
        ("https://com/cb", Host),
        ("http://a.example/cb", Scheme),
        ("http://localhost.evil.example/cb", Scheme),
        ("http://foo.localhost/cb", Scheme),
        ("http://127.0.0.1.nip.io/cb", Scheme),
        ("http://127.0.0.2/cb", Scheme),
        ("http://0.0.0.0/cb", Scheme),
        ("http://LOCALHOST/cb", Scheme),
        ("HTTPS://a.example/cb", Scheme),
        ("javascript:alert(1)", Scheme),
        ("data:text/html,x", Scheme),
        ("file:///etc/passwd", Scheme),
        ("vbscript:x", Scheme),
        ("blob:https://a.example/x", Scheme),
        ("about:blank", Scheme),
        ("view-source:https://a.example", Scheme),
        ("ws://a.example/", Scheme),
        ("ftp://a.example/", Scheme),
        ("intent://a/", Scheme),
        ("chrome-extension://abc/", Scheme),
        ("cursor://anysphere.cursor-mcp/oauth/callback/x", Scheme),
        ("vscode://evil/cb", Scheme),
        (".example:/cb", Scheme),
        ("example.:/cb", Scheme),
        ("/cb", Scheme),
        ("no-scheme", Scheme),
    ] {
        assert_eq!(register(text), Err(error), "{text}");
    }
}

#[test]
fn a_request_means_exactly_what_was_registered() {
    let registered = "https://a.example/cb?x=1";
    for other in [
        "https://a.example/cb",
        "https://a.example/cb?x=1&y=2",
        "https://a.example:443/cb?x=1",
        "https://A.example/cb?x=1",
        "https://a.example/cb/?x=1",
        "https://a.example/./cb?x=1",
        "https://a.example/%63b?x=1",
        "https://a.example./cb?x=1",
        "http://a.example/cb?x=1",
    ] {
        assert!(!redirect_matches(registered, other, true), "{other}");
    }
    assert!(redirect_matches(registered, registered, false));
}

#[test]
fn only_the_port_of_a_loopback_address_may_differ() {
    let registered = "http://localhost/callback";
    for (sent, any_port) in [("http://localhost:1/callback", true), ("http://localhost:65535/callback", true)] {
        assert!(redirect_matches(registered, sent, any_port), "{sent}");
        assert!(!redirect_matches(registered, sent, false), "{sent}");
    }
    assert!(redirect_matches("http://localhost:99/callback", "http://localhost/callback", true));
    assert!(redirect_matches("http://[::1]:99/cb", "http://[::1]:7/cb", true));
    for other in [
        "http://127.0.0.1:1/callback",
        "http://[::1]:1/callback",
        "http://localhost:1/callback2",
        "http://localhost:1/callback?x",
        "http://localhost:1/callback#",
        "http://localhost:1/x/../callback",
        "http://localhost:1@evil.example/callback",
        "http://localhost:0/callback",
        "http://localhost:/callback",
        "http://LOCALHOST:1/callback",
        "https://localhost:1/callback",
        "http://localhost.evil.example:1/callback",
    ] {
        assert!(!redirect_matches(registered, other, true), "{other}");
    }
}

proptest::proptest! {
    /// A URI that passes leads where its target says, for a parser that browsers agree with.
    #[test]
    fn browsers_agree_with_the_target(text in "https?://[a-z0-9.@:\\[\\]/?%\\\\-]{1,40}") {
        if let Ok(uri) = RedirectUri::register(&text, &[]) {
            let parsed = url::Url::parse(&text).unwrap();
            proptest::prop_assert_eq!(parsed.host_str().unwrap(), uri.target);
            proptest::prop_assert!(parsed.username().is_empty());
        }
    }
}
