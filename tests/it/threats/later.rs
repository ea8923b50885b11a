//! What is not built yet is not there: 43 to 45, 69.

use http::Method;
use serde_json::Value;
use tests::{Answer, TestApp};

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

/// Both metadata documents.
async fn documents(app: &TestApp) -> Vec<Value> {
    let mut documents = Vec::new();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        documents.push(app.send(Method::GET, path, &[], "").await.expect(200).json());
    }
    documents
}

/// That no member of the metadata has this in its name or among its values.
async fn is_not_named(app: &TestApp, what: &str) {
    for document in documents(app).await {
        assert!(!document.to_string().contains(what), "{what} in {document}");
    }
}

/// What the token endpoint says to a client that asks for this grant.
async fn token(app: &TestApp, grant: &str, more: &str) -> Answer {
    let client = app.client("Assistant").await;
    let body = format!("client_id={}&grant_type={grant}{more}", client.id);
    app.send(Method::POST, "/oauth/token", &FORM, &body).await
}

/// Threat 43: identity assertions are not taken, not looked at and not named.
#[tokio::test]
async fn t43_identity_assertions_are_off() {
    let app = TestApp::new().await;
    for grant in [
        "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer",
        "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
    ] {
        let more = "&assertion=eyJhbGciOiJub25lIn0.e30.&subject_token=gho_x&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
        let answer = token(&app, grant, more).await.expect(400);
        assert_eq!(answer.json()["error"], "unsupported_grant_type");
    }
    for name in ["jwt-bearer", "token-exchange", "id-jag", "authorization_grant_profiles_supported"] {
        is_not_named(&app, name).await;
    }
}

/// Threat 44: proofs of possession bind nothing, are asked for by nobody, and make no token of another kind.
#[tokio::test]
async fn t44_proofs_of_possession_are_off() {
    let app = TestApp::new().await;
    for name in ["dpop", "DPoP"] {
        is_not_named(&app, name).await;
    }
    let resource = "/.well-known/oauth-protected-resource/t/acme/demo/mcp";
    let document = app.send(Method::GET, resource, &[], "").await.expect(200).body;
    assert!(!document.contains("dpop"), "{document}");
    let client = app.client("Assistant").await;
    let tokens = client.tokens(&mut app.signed_in("mel").await, "/t/acme/demo/mcp").await;
    assert_eq!(tokens.answer["token_type"], "Bearer");
    let dpop = format!("DPoP {}", tokens.access);
    let answer = app.send(Method::POST, "/t/acme/demo/mcp", &[("authorization", &dpop)], "{}").await;
    assert!([400, 401].contains(&answer.status.as_u16()), "{answer:?}");
    assert!(!answer.header("www-authenticate").unwrap_or_default().contains("DPoP"), "{answer:?}");
}

/// Threat 45: there is nowhere to push a request to, and no request is taken by reference.
#[tokio::test]
async fn t45_pushed_requests_are_off() {
    let app = TestApp::new().await;
    app.send(Method::POST, "/oauth/par", &FORM, "client_id=x").await.expect(404);
    is_not_named(&app, "pushed_authorization_request").await;
    for document in documents(&app).await {
        assert_eq!(
            (&document["request_uri_parameter_supported"], &document["request_parameter_supported"]),
            (&Value::Bool(false), &Value::Bool(false))
        );
    }
    let client = app.client("Assistant").await;
    let base = client.authorize_path("/t/acme/demo/mcp");
    for (name, error) in [("request_uri", "request_uri_not_supported"), ("request", "request_not_supported")] {
        let path = format!("{base}&{name}=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax");
        let page = app.browser().get(&path).await.expect(400);
        assert!(page.body.contains(error), "{}", page.body);
    }
}

/// Threat 69: there are no device codes: no endpoint, no page to type one on, no grant, no name for it.
#[tokio::test]
async fn t69_the_device_flow_is_off() {
    let app = TestApp::new().await;
    app.send(Method::POST, "/oauth/device_authorization", &FORM, "client_id=x").await.expect(404);
    for path in ["/device", "/oauth/device", "/device?user_code=BCDF-GHJK"] {
        let answer = app.browser().get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let answer =
        token(&app, "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code", "&device_code=x").await.expect(400);
    assert_eq!(answer.json()["error"], "unsupported_grant_type");
    is_not_named(&app, "device").await;
}
