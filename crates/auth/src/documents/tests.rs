use serde_json::json;

use crate::trial::Trial;

#[tokio::test]
async fn the_server_says_what_it_can_and_nothing_else() {
    let trial = Trial::new().await;
    let seen = trial.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(seen.headers["access-control-allow-origin"], "*");
    let document = seen.json();
    assert_eq!(document["issuer"], "https://portico.example");
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["scopes_supported"], json!(["mcp:read", "mcp:tools", "offline_access"]));
    for absent in ["revocation_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint"] {
        assert!(document.get(absent).is_none(), "{absent}");
    }
    let openid = trial.get("/.well-known/openid-configuration").await.json();
    assert_eq!(openid["subject_types_supported"], json!(["public"]));
    for (name, value) in document.as_object().unwrap() {
        assert_eq!(&openid[name], value, "{name}");
        let path = value.as_str().and_then(|url| url.strip_prefix("https://portico.example/oauth/"));
        if let Some(path) = path {
            assert_ne!(trial.get(&format!("/oauth/{path}")).await.status, 404, "{path} is there");
        }
    }
    for absent in [
        "/.well-known/oauth-authorization-server/t/acme",
        "/.well-known/openid-configuration/t/acme",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/t/acme/echo",
        "/.well-known/oauth-protected-resource/t/ACME/echo/mcp",
    ] {
        assert_eq!(trial.get(absent).await.status, 404, "{absent}");
    }
}

#[tokio::test]
async fn a_resource_is_described_whether_or_not_it_is_there() {
    let trial = Trial::new().await;
    for (path, name) in [("t/acme/echo/mcp", "echo of acme"), ("t/nobody/nothing/mcp", "nothing of nobody")] {
        let document = trial.get(&format!("/.well-known/oauth-protected-resource/{path}")).await.json();
        let expected = json!({
            "resource": format!("https://portico.example/{path}"),
            "resource_name": name,
            "authorization_servers": ["https://portico.example"],
            "scopes_supported": ["mcp:read", "mcp:tools"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(document, expected);
    }
}

#[tokio::test]
async fn published_keys_are_public() {
    let trial = Trial::new().await;
    let keys = trial.get("/oauth/jwks.json").await.json();
    let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("{keys}") };
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
    );
    for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert!(key.get(private).is_none(), "{private}");
    }
}
