use serde_json::json;

use super::*;

const ADDRESS: &str = "https://app.example/oauth/client.json";

fn read_json(document: &Value) -> Result<Described, &'static str> {
    let address = DocumentUrl::parse(ADDRESS, false).unwrap();
    read(document.to_string().as_bytes(), &address, &AuthConfig::default())
}

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the change for this")]
fn document(change: Value) -> Value {
    let mut document = json!({
        "client_id": ADDRESS,
        "client_name": "App",
        "redirect_uris": ["http://127.0.0.1/callback", "https://app.example/cb"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_method": "none",
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(document.as_object_mut().unwrap().remove(name)),
            value => document[name] = value.clone(),
        }
    }
    document
}

fn public_key() -> Value {
    json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }] })
}

#[test]
fn what_a_document_says_is_the_client() {
    let described = read_json(&document(json!({ "client_uri": "https://app.example/", "logo_uri": "x" }))).unwrap();
    assert_eq!((&*described.name, described.auth_method, described.may_refresh), ("App", AuthMethod::None, true));
    assert_eq!(described.redirect_uris, ["http://127.0.0.1/callback", "https://app.example/cb"]);
    assert_eq!(described.application_type, ApplicationType::Native);

    // ChatGPT says one way and lists two.
    let both = json!(["private_key_jwt", "none"]);
    let signed = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": both,
        "jwks_uri": "https://app.example/jwks.json",
        "redirect_uris": ["https://app.example/cb"],
    });
    assert_eq!(read_json(&document(signed)).unwrap().auth_method, AuthMethod::PrivateKeyJwt);
    let listed = json!({ "token_endpoint_auth_method": null, "token_endpoint_auth_methods_supported": both });
    assert_eq!(read_json(&document(listed)).unwrap().auth_method, AuthMethod::None);
    let unsaid = json!({ "token_endpoint_auth_method": null });
    assert_eq!(read_json(&document(unsaid)).unwrap().auth_method, AuthMethod::None);
}

#[test]
fn what_a_document_may_not_say() {
    for change in [
        json!({ "client_id": "https://app.example/oauth/client.json/" }),
        json!({ "client_id": "https://APP.example/oauth/client.json" }),
        json!({ "client_id": null }),
        json!({ "client_id": 1 }),
        json!({ "client_name": null }),
        json!({ "client_name": "a\u{202e}b" }),
        json!({ "redirect_uris": null }),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": ["javascript:alert(1)", "https://app.example/cb"] }),
        json!({ "redirect_uris": ["data:text/html,x"] }),
        json!({ "redirect_uris": "https://app.example/cb" }),
        json!({ "client_secret": "s" }),
        json!({ "client_secret_expires_at": 0 }),
        json!({ "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
        json!({ "token_endpoint_auth_method": 1 }),
        json!({ "token_endpoint_auth_method": null, "token_endpoint_auth_methods_supported": ["client_secret_post"] }),
        json!({ "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AQAB" }] } }),
        json!({ "jwks": { "keys": [{ "kty": "EC", "d": "AQAB" }] } }),
        json!({ "jwks_uri": "http://app.example/jwks.json" }),
        json!({ "jwks": public_key(), "jwks_uri": "https://app.example/jwks.json" }),
        json!({ "software_statement": "x.y.z" }),
        json!({ "grant_types": ["client_credentials"] }),
    ] {
        let document = document(change.clone());
        assert!(read_json(&document).is_err(), "{change}");
    }
    let address = DocumentUrl::parse(ADDRESS, false).unwrap();
    let twice = document(json!({})).to_string().replacen('{', "{\"client_name\": \"Bank\", ", 1);
    assert!(read(twice.as_bytes(), &address, &AuthConfig::default()).is_err());
    assert!(read(b"[]", &address, &AuthConfig::default()).is_err());
}

#[test]
fn answers_stay_where_the_host_is_believable() {
    let left = |uris: Value| read_json(&document(json!({ "redirect_uris": uris }))).map(|client| client.redirect_uris);
    for outside in [
        "https://bank.example/cb",
        "https://sub.app.example/cb",
        "https://app.example.evil.example/cb",
        "https://app.example:8443/cb",
        "https://app.exampleevil.example/cb",
        "com.evil.app:/cb",
    ] {
        assert!(left(json!([outside])).is_err(), "{outside}");
        let kept = left(json!([outside, "https://app.example:443/cb"])).unwrap();
        assert_eq!(kept, ["https://app.example:443/cb"], "{outside}");
    }
    for inside in ["http://localhost/cb", "https://insiders.vscode.dev/redirect", "https://app.example/?x"] {
        assert_eq!(left(json!([inside])).unwrap(), [inside]);
    }
}
