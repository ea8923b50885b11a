//! Clients that register themselves, and clients that are documents.

use std::time::Duration;

use http::Method;
use model::Clock as _;
use serde_json::{Value, json};
use tests::{Answer, Client, REDIRECT, TestApp};

pub(super) const DEMO: &str = "/t/acme/demo/mcp";
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// Where documents of these tests take their answers, so that the tests' client can follow.
pub(super) const HOST: &str = "client.example";

pub(super) async fn register_from(app: &TestApp, address: &str, metadata: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    app.send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await
}

pub(super) async fn register(app: &TestApp, metadata: &Value) -> Answer {
    register_from(app, "192.0.2.1", metadata).await
}

pub(super) fn metadata() -> Value {
    json!({
        "client_name": "Assistant",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

pub(super) fn with(mut value: Value, name: &str, to: impl Into<Value>) -> Value {
    value[name] = to.into();
    value
}

/// Threat 17: a code is worth nothing to another client, and is still good for its own.
#[tokio::test]
async fn t17_code_of_another_client() {
    let app = TestApp::new().await;
    let (own, other) = (app.client("Assistant").await, app.client("Assistant").await);
    assert_ne!(own.id, other.id, "who registers with the same words is somebody else");
    let code = own.code(&mut app.signed_in("mel").await, DEMO).await;
    let refused = other.redeem(&code, DEMO).await.expect(400);
    assert_eq!(refused.json()["error"], "invalid_grant");
    own.redeem(&code, DEMO).await.expect(200);
}

/// Threat 38: ten thousand registrations from one network make as many clients as the limit says, on all replicas
/// together, and others register as before.
#[tokio::test]
async fn t38_a_flood_makes_few_clients() {
    let app =
        TestApp::of(tests::World::TWO_TENANTS, "trusted_proxies = [\"127.0.0.1/32\"]\ndcr.per_network = 10\n").await;
    // In a directory of its own a platform has no replicas.
    let replica = if app.places.is_some() { Some(app.replica().await) } else { None };
    let before = app.store.repos.clients.count_dynamic(app.clock.now()).await.expect("the store is there");
    let (mut made, mut told) = (0, 0);
    for batch in 0..100 {
        let sent = (0..100).map(|n| {
            let to = replica.as_ref().filter(|_| n % 2 == 0).unwrap_or(&app);
            let address = format!("192.0.2.{}", (batch * 100 + n) % 250 + 1);
            async move { register_from(to, &address, &metadata()).await }
        });
        for answer in futures_util::future::join_all(sent).await {
            match answer.status.as_u16() {
                201 => made += 1,
                429 => {
                    told += usize::from(answer.header("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok()));
                }
                _ => panic!("{answer:?}"),
            }
        }
    }
    assert_eq!((made, told), (10, 9_990));
    let after = app.store.repos.clients.count_dynamic(app.clock.now()).await.expect("the store is there");
    assert_eq!(after, before + 10);
    for address in ["192.0.3.1", "2001:db8::1"] {
        register_from(&app, address, &metadata()).await.expect(201);
    }
    // An hour later the network has its ten again.
    app.clock.advance(Duration::from_hours(1));
    register(&app, &metadata()).await.expect(201);
}

/// Threat 38: who is never used is gone in a day, and who is used stays.
#[tokio::test]
async fn t38_the_unused_go() {
    let app = TestApp::new().await;
    let (used, unused) = (app.client("Used").await, app.client("Unused").await);
    let tokens = used.tokens(&mut app.signed_in("mel").await, DEMO).await;
    app.clock.advance(Duration::from_hours(25));
    app.browser().get(&unused.authorize_path(DEMO)).await.expect(400);
    app.browser().follow(&used.authorize_path(DEMO)).await.expect(200);
    used.refresh(&tokens.refresh).await.expect(200);
}

/// Threat 38: when there are as many as there may be, new ones take the places of the unused, never of the used.
#[tokio::test]
async fn t38_a_full_house_makes_room_for_itself_only() {
    let app = TestApp::of(tests::World::TWO_TENANTS, "dcr.max_clients = 3\n").await;
    let used = app.client("Used").await;
    used.tokens(&mut app.signed_in("mel").await, DEMO).await;
    let (first, second) = (app.client("First").await, app.client("Second").await);
    let full = register(&app, &metadata()).await.expect(429);
    assert!(full.header("retry-after").is_some());
    app.clock.advance(Duration::from_mins(61));
    let third = app.client("Third").await;
    app.browser().get(&first.authorize_path(DEMO)).await.expect(400);
    for there in [&used, &second, &third] {
        app.browser().follow(&there.authorize_path(DEMO)).await.expect(200);
    }
}

/// Threat 39: a registration gets no privileges by asking.
#[tokio::test]
async fn t39_asking_gives_no_privileges() {
    let app = TestApp::new().await;
    let refused = register(&app, &with(metadata(), "grant_types", json!(["client_credentials"]))).await.expect(400);
    assert_eq!(refused.json()["error"], "invalid_client_metadata");
    let grants = [
        "authorization_code",
        "client_credentials",
        "password",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ];
    let asked = with(with(metadata(), "grant_types", json!(grants)), "scope", "admin operator mcp:read *");
    let given = register(&app, &asked).await.expect(201).json();
    assert_eq!((&given["grant_types"], &given["scope"]), (&json!(["authorization_code"]), &json!("mcp:read")));
    let statement = with(metadata(), "software_statement", "eyJ.e30.x");
    let refused = register(&app, &statement).await.expect(400);
    assert_eq!(refused.json()["error"], "invalid_software_statement");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("grant_type=client_credentials&client_id={}", given["client_id"].as_str().expect("an id"));
    let refused = app.send(Method::POST, "/oauth/token", &form, &body).await;
    assert!(refused.status.is_client_error() && refused.json().get("access_token").is_none(), "{refused:?}");
}

/// Threat 40: a registration is its client's alone.
#[tokio::test]
async fn t40_a_registration_is_its_clients() {
    let app = TestApp::new().await;
    let (own, other) = (register(&app, &metadata()).await.json(), register(&app, &metadata()).await.json());
    let text = |of: &Value, name: &str| of[name].as_str().expect("a text").to_owned();
    let (id, token) = (text(&own, "client_id"), text(&own, "registration_access_token"));
    let manage = async |method: Method, id: &str, authorization: Option<String>| {
        let body = with(with(metadata(), "client_id", id), "client_name", "Taken").to_string();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        app.send(method, &format!("/oauth/register/{id}"), &headers, &body).await
    };
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    let wrong = [
        None,
        bearer(""),
        bearer("x"),
        bearer(&text(&other, "registration_access_token")),
        bearer(&token[..token.len() - 1]),
        bearer(&id),
        Some(format!("Basic {token}")),
        Some(token.clone()),
    ];
    let strangers = ["c_absent", "https%3A%2F%2Fclient.example%2Fc", "%00"];
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        for authorization in &wrong {
            let known = manage(method.clone(), &id, authorization.clone()).await.expect(401);
            let unknown = manage(method.clone(), "c_absent", authorization.clone()).await.expect(401);
            assert_eq!(known.body, unknown.body);
            assert!(known.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        }
        for stranger in strangers {
            manage(method.clone(), stranger, bearer(&token)).await.expect(401);
        }
    }
    let changed = manage(Method::PUT, &id, bearer(&token)).await.expect(200).json();
    let next = text(&changed, "registration_access_token");
    manage(Method::GET, &id, bearer(&token)).await.expect(401);
    manage(Method::GET, &id, bearer(&next)).await.expect(200);
    manage(Method::DELETE, &id, bearer(&token)).await.expect(401);
    // Who removes a registration removes what it was granted.
    let client = Client::known(&app, &id);
    let tokens = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
    manage(Method::DELETE, &id, bearer(&next)).await.expect(204);
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(401);
    manage(Method::GET, &id, bearer(&next)).await.expect(401);
}

/// Threat 41: a client id is one that was given out here, or the address of a document.
#[tokio::test]
async fn t41_ids_of_others_are_unknown() {
    let app = TestApp::new().await;
    // What a client calls itself by is not its choice.
    let chosen = with(metadata(), "client_id", "https://claude.ai/oauth/claude-code-client-metadata");
    let id = register(&app, &chosen).await.expect(201).json()["client_id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("c_"), "{id}");
    // An application of an identity provider that this installation signs people in with is no client of ours.
    let connection = "[[connection]]\nid = \"hub\"\nkind = \"github\"\nclient_id = \"Iv1.8a61f9b3a7aba766\"\n\
                      client_secret_file = \"otto.password\"\n";
    app.apply(&format!("{connection}{}", tests::World::TWO_TENANTS.0), false).await;
    for stranger in ["Iv1.8a61f9b3a7aba766", "hub", "portico", "c_", "usr_1", "urn:x", "*"] {
        let client = Client::known(&app, stranger);
        app.browser().get(&client.authorize_path(DEMO)).await.expect(400);
        let answer = client.redeem("x", DEMO).await.expect(401);
        assert_eq!(answer.json()["error"], "invalid_client");
    }
}
