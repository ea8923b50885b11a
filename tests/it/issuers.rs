//! One issuer for the installation, or one for each tenant: what is where, and that nothing of one is taken by another.

use http::Method;
use serde_json::json;
use tests::{Answer, Client, TestApp, VERIFIER, World, code_in};

const TENANTS: &str = "issuer_mode = \"tenant\"\n";
const ACME: &str = "/t/acme";
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

async fn get(app: &TestApp, path: &str) -> Answer {
    app.send(Method::GET, path, &[], "").await
}

/// The claims of a token that we gave out.
fn claims(token: &str) -> serde_json::Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn the_platform_is_one_issuer() {
    let app = TestApp::new().await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = get(&app, path).await.expect(200);
        assert_eq!(answer.json()["issuer"], "https://portico.test");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let head = app.send(Method::HEAD, path, &[], "").await.expect(200);
        assert_eq!((&*head.body, head.header("content-type")), ("", Some("application/json")));
    }
    for path in [
        "/.well-known/oauth-authorization-server/t/acme",
        "/.well-known/openid-configuration/t/acme",
        "/t/acme/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/t/acme/demo/mcp",
        "/t/acme/oauth/jwks.json",
        "/t/acme/oauth/authorize",
    ] {
        let answer = get(&app, path).await.expect(404);
        assert!(!answer.body.contains("issuer"), "{path}: {}", answer.body);
    }
    app.send(Method::POST, "/t/acme/oauth/token", &FORM, "a=b").await.expect(404);
}

#[tokio::test]
async fn each_tenant_is_an_issuer() {
    let app = TestApp::of(World::TWO_TENANTS, TENANTS).await;
    for path in [
        "/.well-known/oauth-authorization-server/t/acme",
        "/.well-known/openid-configuration/t/acme",
        "/t/acme/.well-known/openid-configuration",
    ] {
        let document = get(&app, path).await.expect(200).json();
        assert_eq!(document["issuer"], "https://portico.test/t/acme");
        for (name, value) in document.as_object().expect("an object") {
            if name.ends_with("_endpoint") || name == "jwks_uri" {
                let url = value.as_str().expect("a URL");
                let path = url.strip_prefix("https://portico.test").expect("ours");
                assert!(path.starts_with("/t/acme/oauth/"), "{name}: {url}");
                assert_ne!(get(&app, path).await.status, 404, "{name}");
            }
        }
        // Nobody learns who is there.
        let absent = get(&app, &path.replace("acme", "absent")).await.expect(200);
        assert_eq!(absent.json()["issuer"], "https://portico.test/t/absent");
    }
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/oauth/jwks.json",
        "/oauth/authorize",
        "/.well-known/oauth-authorization-server/t/No_Slug",
    ] {
        get(&app, path).await.expect(404);
    }
    for path in ["/oauth/token", "/oauth/register"] {
        app.send(Method::POST, path, &FORM, "a=b").await.expect(404);
    }
    let resource = get(&app, "/.well-known/oauth-protected-resource/t/acme/demo/mcp").await.expect(200).json();
    assert_eq!(resource["authorization_servers"], json!(["https://portico.test/t/acme"]));
    let challenge = app.call("/t/acme/demo/mcp", None, "tools/list", json!({})).await.expect(401);
    let challenge = challenge.header("www-authenticate").expect("a challenge").to_owned();
    assert!(challenge.contains("/.well-known/oauth-protected-resource/t/acme/demo/mcp"), "{challenge}");
}

async fn register(app: &TestApp, issuer: &str) -> String {
    let metadata = json!({
        "client_name": "Assistant",
        "redirect_uris": [tests::REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let headers = [("content-type", "application/json")];
    let answer = app.send(Method::POST, &format!("{issuer}/oauth/register"), &headers, &metadata.to_string()).await;
    answer.expect(201).json()["client_id"].as_str().expect("an id").to_owned()
}

async fn redeem(app: &TestApp, issuer: &str, client: &str, code: &str) -> Answer {
    let body = format!("grant_type=authorization_code&client_id={client}&code={code}&code_verifier={VERIFIER}");
    app.send(Method::POST, &format!("{issuer}/oauth/token"), &FORM, &body).await
}

#[tokio::test]
async fn what_one_issuer_gave_out_another_does_not_take() {
    let app = TestApp::of(World::TWO_TENANTS, TENANTS).await;
    let own = register(&app, ACME).await;
    let foreign = register(&app, "/t/other").await;
    let mut mel = app.signed_in("mel").await;
    let client = Client::known(&app, &own);
    let at = |issuer: &str, client: &Client<'_>, resource: &str| format!("{issuer}{}", client.authorize_path(resource));

    // A client of another issuer is unknown; a resource of another issuer is none of this one.
    let page = mel.get(&at(ACME, &Client::known(&app, &foreign), "/t/acme/demo/mcp")).await.expect(400);
    assert!(page.body.contains("not known here"), "{}", page.body);
    let page = mel.get(&at(ACME, &client, "/t/other/demo/mcp")).await.expect(400);
    assert!(page.body.contains("invalid_target"), "{}", page.body);

    let page = mel.follow(&at(ACME, &client, "/t/acme/demo/mcp")).await.expect(200);
    let back = mel.decide(&page, "allow").await.expect(303);
    assert!(back.location().contains("iss=https%3A%2F%2Fportico.test%2Ft%2Facme"), "{back:?}");
    let code = code_in(back.location()).expect("a code");
    assert_eq!(redeem(&app, "/t/other", &own, &code).await.expect(401).json()["error"], "invalid_client");
    assert_eq!(redeem(&app, "/t/other", &foreign, &code).await.expect(400).json()["error"], "invalid_grant");
    let tokens = redeem(&app, ACME, &own, &code).await.expect(200).json();
    let access = tokens["access_token"].as_str().expect("a token");
    assert_eq!(claims(access)["iss"], "https://portico.test/t/acme");
    app.call("/t/acme/demo/mcp", Some(access), "tools/list", json!({})).await.expect(200);
    app.call("/t/other/demo/mcp", Some(access), "tools/list", json!({})).await.expect(401);
    let refresh = tokens["refresh_token"].as_str().expect("a token");
    let body = format!("grant_type=refresh_token&client_id={own}&refresh_token={refresh}");
    app.send(Method::POST, "/t/other/oauth/token", &FORM, &body).await.expect(401);
    app.send(Method::POST, "/t/acme/oauth/token", &FORM, &body).await.expect(200);
}

/// The same keys sign in both modes; it is the issuer that tells the tokens apart.
#[tokio::test]
async fn a_token_of_the_other_mode_is_none() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let tokens = client.tokens(&mut app.signed_in("mel").await, "/t/acme/demo/mcp").await;
    assert_eq!(claims(&tokens.access)["iss"], "https://portico.test");
    let tenants = app.reconfigured(TENANTS).await;
    let answer = tenants.call("/t/acme/demo/mcp", Some(&tokens.access), "tools/list", json!({})).await.expect(401);
    assert!(answer.header("www-authenticate").unwrap_or_default().contains("invalid_token"));
    app.call("/t/acme/demo/mcp", Some(&tokens.access), "tools/list", json!({})).await.expect(200);
}

#[tokio::test]
async fn without_a_resource_the_person_picks_among_the_issuers() {
    let app = TestApp::of(World::TWO_TENANTS, TENANTS).await;
    let both = World::TWO_TENANTS.0.replace(
        "{ user = \"olga\", role = \"owner\" }",
        "{ user = \"olga\", role = \"owner\" }, { user = \"mel\", role = \"member\" }",
    );
    app.apply(&both, false).await;
    let own = register(&app, ACME).await;
    let path = Client::known(&app, &own).authorize_path("/t/acme/demo/mcp");
    let path = path.replace("resource=https%3A%2F%2Fportico.test%2Ft%2Facme%2Fdemo%2Fmcp&", "");
    assert!(!path.contains("resource="), "{path}");
    let mut mel = app.signed_in("mel").await;
    let page = mel.follow(&format!("{ACME}{path}")).await.expect(200);
    assert!(page.body.contains("/t/acme/demo/mcp") && !page.body.contains("/t/other/"), "{}", page.body);
    let (csrf, txn, account) = (page.field("csrf"), page.field("txn"), page.field("account"));
    let base = [("csrf", &*csrf), ("txn", &*txn), ("account", &*account), ("decision", "allow")];
    let foreign = [&base[..], &[("resource", "https://portico.test/t/other/demo/mcp")]].concat();
    mel.post("/oauth/consent", &foreign).await.expect(400);
    let picked = [&base[..], &[("resource", "https://portico.test/t/acme/demo/mcp")]].concat();
    assert!(code_in(mel.post("/oauth/consent", &picked).await.expect(303).location()).is_some());
}
