use serde_json::{Value, json};

use super::*;
use crate::trial::{REDIRECT, Trial};

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
        (json!({ "redirect_uris": [REDIRECT], "software_statement": "x.y.z" }), Metadata),
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

#[tokio::test]
async fn registrations_are_told_apart_and_limited() {
    let mut config = crate::AuthConfig::default();
    config.registration.per_address.burst = 3;
    let trial = Trial::with(crate::trial::STATE, crate::trial::ORIGIN, config).await;
    let same = || trial.register(json!({ "redirect_uris": [REDIRECT], "client_name": "Twin" }));
    let (one, two) = (same().await, same().await);
    assert_eq!((one.status, two.status), (201, 201));
    assert_eq!(one.headers["cache-control"], "no-store");
    assert_ne!(one.json()["client_id"], two.json()["client_id"]);
    assert!(one.json()["client_id"].as_str().unwrap().starts_with("c_"));
    assert!(one.json().get("client_secret").is_none() && one.json().get("registration_client_uri").is_none());
    assert_eq!(trial.register(json!({})).await.status, 400, "what is refused does not count");
    assert_eq!(same().await.status, 201);
    let refused = same().await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(trial.register(json!({ "redirect_uris": ["x".repeat(70_000)] })).await.status, 413);
}
