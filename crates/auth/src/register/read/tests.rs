use serde_json::{Value, json};

use super::*;
use crate::trial::REDIRECT;

const CURSOR: &str = "cursor://anysphere.cursor-mcp/oauth/callback";

fn read_json(value: Value) -> Result<Wanted, ErrorCode> {
    let request: RegistrationRequest = serde_json::from_value(value).unwrap();
    read(&request, &[CURSOR.to_owned()]).map_err(|error| error.code)
}

#[test]
fn what_real_clients_send() {
    let wanted = read_json(json!({
        "client_name": " MCP CLI ",
        "redirect_uris": ["http://127.0.0.1:3334/oauth/callback"],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "mcp:read admin",
        "software_id": "x",
    }))
    .unwrap();
    assert_eq!(wanted.name.as_deref(), Some("MCP CLI"));
    assert_eq!(wanted.auth_method, AuthMethod::None, "an app on a device keeps no secret");
    assert_eq!((wanted.scopes.to_string().as_str(), wanted.may_refresh), ("mcp:read", true));
    assert_eq!(wanted.application_type, ApplicationType::Native);

    let wanted = read_json(json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic" }));
    let wanted = wanted.unwrap();
    assert_eq!((wanted.auth_method, wanted.application_type), (AuthMethod::ClientSecretBasic, ApplicationType::Web));
    assert!(!wanted.may_refresh);

    let wanted = read_json(json!({ "redirect_uris": [CURSOR], "scope": "claudeai" })).unwrap();
    assert_eq!(wanted.scopes, ScopeSet::supported(), "who only knows other scopes learns ours");
    let both = json!({ "redirect_uris": ["http://127.0.0.1/", "https://vscode.dev/redirect"] });
    assert_eq!(read_json(both).unwrap().application_type, ApplicationType::Native);
}

fn public_key() -> Value {
    json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }] })
}

#[test]
fn what_is_kept_to_be_given_back() {
    let wanted = read_json(json!({
        "redirect_uris": [REDIRECT],
        "client_name": "Cafe\u{301}",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": public_key(),
        "contacts": ["ops@client.example"],
        "logo_uri": "https://client.example/logo.png",
        "tos_uri": "https://elsewhere.example/tos",
        "policy_uri": "javascript:alert(1)",
        "software_id": "an id",
        "software_version": "1\u{0}",
    }))
    .unwrap();
    assert_eq!(wanted.name.as_deref(), Some("Caf\u{e9}"));
    assert_eq!((wanted.auth_method, wanted.keys), (AuthMethod::PrivateKeyJwt, ClientKeys::Inline(public_key())));
    let expected = ClientMetadata {
        logo_uri: Some("https://client.example/logo.png".to_owned()),
        contacts: vec!["ops@client.example".to_owned()],
        software_id: Some("an id".to_owned()),
        ..ClientMetadata::default()
    };
    assert_eq!(wanted.metadata, expected);
}

#[test]
fn what_is_refused() {
    use ErrorCode::{InvalidClientMetadata as Metadata, InvalidRedirectUri as Redirect};
    let eleven: Vec<_> = (0..11).map(|n| format!("https://a.example/{n}")).collect();
    for (value, code) in [
        (json!({}), Redirect),
        (json!({ "redirect_uris": [] }), Redirect),
        (json!({ "redirect_uris": eleven }), Redirect),
        (json!({ "redirect_uris": [REDIRECT, "javascript:alert(1)"] }), Redirect),
        (json!({ "redirect_uris": ["http://a.example/"] }), Redirect),
        (json!({ "redirect_uris": ["http://localhost/"], "application_type": "web" }), Redirect),
        (json!({ "redirect_uris": [REDIRECT], "application_type": "tv" }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "grant_types": ["client_credentials"] }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "response_types": ["token"] }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt" }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "software_statement": "x.y.z" }), ErrorCode::InvalidSoftwareStatement),
        (json!({ "redirect_uris": [REDIRECT], "jwks": { "keys": [{ "kty": "oct", "k": "a" }] } }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "jwks": public_key(), "jwks_uri": "https://a.example/k" }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "jwks_uri": "http://a.example/k" }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "jwks_uri": "https://169.254.169.254/k" }), Metadata),
        (
            json!({ "redirect_uris": ["http://localhost/"], "token_endpoint_auth_method": "private_key_jwt", "jwks": public_key() }),
            Metadata,
        ),
        (json!({ "redirect_uris": [REDIRECT], "contacts": ["a", "b", "c", "d", "e", "f"] }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "contacts": ["a\u{202e}"] }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "client_name": "a\u{200b}b" }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "client_name": "a\u{202e}b" }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "client_name": "a".repeat(129) }), Metadata),
        (json!({ "redirect_uris": [REDIRECT], "scope": "a\"b" }), Metadata),
        (
            json!({ "redirect_uris": [REDIRECT, "http://localhost/"], "token_endpoint_auth_method": "client_secret_post" }),
            Metadata,
        ),
    ] {
        assert_eq!(read_json(value.clone()), Err(code), "{value}");
    }
}

#[test]
fn a_page_on_another_host_is_dropped() {
    let page = |uri: &str| read_json(json!({ "redirect_uris": [REDIRECT], "client_uri": uri })).unwrap().uri;
    assert_eq!(page("https://client.example/about").as_deref(), Some("https://client.example/about"));
    for uri in
        ["https://bank.example/", "http://client.example/", "javascript:alert(1)", "https://u@client.example/", ""]
    {
        assert_eq!(page(uri), None, "{uri}");
    }
}
