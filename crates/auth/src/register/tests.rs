use http::Method;
use serde_json::{Value, json};

use crate::{
    AuthConfig,
    trial::{ORIGIN, REDIRECT, STATE, Trial},
};

#[tokio::test]
async fn registrations_are_told_apart_and_limited() {
    let mut config = AuthConfig::default();
    config.registration.per_address.burst = 3;
    let trial = Trial::with(STATE, ORIGIN, config).await;
    let same = || trial.register(json!({ "redirect_uris": [REDIRECT], "client_name": "Twin" }));
    let (one, two) = (same().await, same().await);
    assert_eq!((one.status, two.status), (201, 201));
    assert_eq!(one.headers["cache-control"], "no-store");
    assert_ne!(one.json()["client_id"], two.json()["client_id"]);
    assert!(one.json()["client_id"].as_str().unwrap().starts_with("c_"));
    assert!(one.json().get("client_secret").is_none());
    assert_eq!(trial.register(json!({})).await.status, 400, "what is refused does not count");
    assert_eq!(same().await.status, 201);
    let refused = same().await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(trial.register(json!({ "redirect_uris": ["x".repeat(70_000)] })).await.status, 413);
}

/// A request to manage a registration.
async fn manage(trial: &Trial, method: Method, id: &str, token: Option<&str>, body: &Value) -> crate::trial::Seen {
    let mut request = http::Request::builder().method(method).uri(format!("/oauth/register/{id}"));
    request = request.header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    trial.send(request.body(body.to_string().into()).unwrap()).await
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

#[tokio::test]
async fn a_client_reads_and_changes_its_registration() {
    let trial = Trial::new().await;
    let metadata = json!({
        "redirect_uris": [REDIRECT],
        "client_name": "First",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "mcp:read",
    });
    let made = trial.register(metadata.clone()).await.json();
    let (id, token) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    assert_eq!(text(&made, "registration_client_uri"), format!("{ORIGIN}/oauth/register/{id}"));
    assert!(token.starts_with("reg_") && text(&made, "client_secret").starts_with("cs_"));

    let read = manage(&trial, Method::GET, &id, Some(&token), &Value::Null).await;
    assert_eq!((read.status, &*text(&read.json(), "client_name")), (200, "First"));
    assert_eq!(read.headers["cache-control"], "no-store");
    assert!(read.json().get("client_secret").is_none(), "it is stored hashed");

    let mut change = metadata.clone();
    change["client_id"] = id.as_str().into();
    change["client_name"] = "Second".into();
    change["redirect_uris"] = json!(["https://client.example/new"]);
    change["client_secret"] = made["client_secret"].clone();
    let changed = manage(&trial, Method::PUT, &id, Some(&token), &change).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let next = text(&changed.json(), "registration_access_token");
    assert_ne!(next, token);
    assert_eq!(changed.json()["client_secret"], made["client_secret"], "it keeps its secret");
    assert_eq!(manage(&trial, Method::GET, &id, Some(&token), &Value::Null).await.status, 401, "the old token is over");
    let read = manage(&trial, Method::GET, &id, Some(&next), &Value::Null).await.json();
    assert_eq!((&*text(&read, "client_name"), &read["redirect_uris"]), ("Second", &change["redirect_uris"]));

    let gone = manage(&trial, Method::DELETE, &id, Some(&next), &Value::Null).await;
    assert_eq!((gone.status, &*gone.text), (204, ""));
    assert_eq!(manage(&trial, Method::GET, &id, Some(&next), &Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_change_gives_nothing_that_was_not_there() {
    let trial = Trial::new().await;
    let metadata = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "mcp:read",
    });
    let made = trial.register(metadata.clone()).await.json();
    let (id, token) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    for (name, value) in [
        ("scope", json!("mcp:read mcp:tools")),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("token_endpoint_auth_method", json!("none")),
        ("client_id", json!("c_other")),
        ("client_id", Value::Null),
        ("client_secret", json!("cs_of_its_own_choice")),
        ("registration_access_token", json!(token)),
        ("registration_client_uri", json!("https://portico.example/")),
        ("client_id_issued_at", json!(1)),
        ("client_secret_expires_at", json!(0)),
        ("redirect_uris", json!(["javascript:alert(1)"])),
        ("redirect_uris", json!([format!("{ORIGIN}/x")])),
    ] {
        let mut change = metadata.clone();
        change["client_id"] = id.as_str().into();
        change[name] = value.clone();
        let refused = manage(&trial, Method::PUT, &id, Some(&token), &change).await;
        assert_eq!(refused.status, 400, "{name} {value}: {}", refused.text);
    }
    // Who does not say keeps less or the same.
    let change =
        json!({ "client_id": id, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic" });
    let changed = manage(&trial, Method::PUT, &id, Some(&token), &change).await;
    assert_eq!((changed.status, &*text(&changed.json(), "scope")), (200, "mcp:read"));
}

#[tokio::test]
async fn where_registration_is_off_nobody_registers() {
    let mut config = AuthConfig::default();
    config.registration.open = false;
    let trial = Trial::with(STATE, ORIGIN, config).await;
    let refused = trial.register(json!({ "redirect_uris": [REDIRECT] })).await;
    assert_eq!((refused.status, &*refused.error()), (403, "access_denied"));
    let metadata = trial.get("/.well-known/oauth-authorization-server").await.json();
    assert!(metadata.get("registration_endpoint").is_none());
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
}

#[tokio::test]
async fn bodies_that_readers_disagree_about_are_refused() {
    let trial = Trial::new().await;
    let send = async |body: &str| {
        let request = http::Request::post("/oauth/register").header("content-type", "application/json");
        trial.send(request.body(body.to_owned().into()).unwrap()).await
    };
    let deep = format!(r#"{{"redirect_uris": ["{REDIRECT}"], "x": {}{}}}"#, "[".repeat(8), "]".repeat(8));
    let twice = format!(r#"{{"redirect_uris": ["{REDIRECT}"], "client_name": "a", "client_name": "b"}}"#);
    let unknown_twice = format!(r#"{{"redirect_uris": ["{REDIRECT}"], "x": 1, "x": 2}}"#);
    for body in [&*deep, &*twice, &*unknown_twice, "[]", "null", "{"] {
        let refused = send(body).await;
        assert_eq!((refused.status, &*refused.error()), (400, "invalid_client_metadata"), "{body}");
    }
    let fine = format!(r#"{{"redirect_uris": ["{REDIRECT}"], "x": {{"y": [1]}}}}"#);
    let made = send(&fine).await;
    assert_eq!(made.status, 201);
    assert!(made.json().get("x").is_none(), "what is not known is dropped");
}
