use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, header};
use serde_json::json;

use crate::trial::{ECHO, REDIRECT, Trial, VERIFIER, redemption};

const PATH: &str = "/t/acme/echo/mcp";

/// The form of a good redemption with some fields replaced, added, or (empty) left out.
async fn redeem_with(trial: &Trial, client: &str, code: &str, changes: &[(&str, &str)]) -> (u16, String) {
    let mut form = redemption(client, code).to_vec();
    for (name, value) in changes {
        form.retain(|(own, _)| own != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    let seen = trial.form("/oauth/token", &form).await;
    (seen.status, if seen.status == 200 { String::new() } else { seen.error() })
}

#[tokio::test]
async fn a_code_gives_tokens_once_and_says_what_they_are() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let code = trial.code(&client).await;
    let seen = trial.redeem(&client, &code).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(
        (&seen.headers[header::CACHE_CONTROL], &seen.headers[header::PRAGMA]),
        (&http::HeaderValue::from_static("no-store"), &http::HeaderValue::from_static("no-cache"))
    );
    assert_eq!(seen.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let tokens = seen.json();
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"], &tokens["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("mcp:read mcp:tools"))
    );
    assert!(tokens["refresh_token"].as_str().unwrap().starts_with("rt_"));
    assert_eq!(trial.status(tokens["access_token"].as_str().unwrap(), PATH), 200);
}

#[tokio::test]
async fn every_binding_of_a_code_is_checked_and_none_burns_it() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let other = trial.client(REDIRECT).await;
    let code = trial.code(&client).await;
    let short = &VERIFIER[..42];
    let invalid = (400, "invalid_grant".to_owned());
    let long = "a".repeat(129);
    for verifier in ["a".repeat(43).as_str(), short] {
        assert_eq!(redeem_with(&trial, &client, &code, &[("code_verifier", verifier)]).await, invalid);
    }
    assert_eq!(redeem_with(&trial, &other, &code, &[]).await, invalid, "another client");
    let (status, error) = redeem_with(&trial, &client, &code, &[("redirect_uri", "https://client.example/cb2")]).await;
    assert_eq!((status, error), invalid);
    // Four failed; what is malformed does not count.
    for (change, error) in [
        (("code_verifier", ""), "invalid_request"),
        (("code", ""), "invalid_request"),
        (("grant_type", ""), "invalid_request"),
        (("grant_type", "password"), "unsupported_grant_type"),
    ] {
        assert_eq!(redeem_with(&trial, &client, &code, &[change]).await, (400, error.to_owned()), "{change:?}");
    }
    assert_eq!(redeem_with(&trial, &client, &code, &[("redirect_uri", "")]).await.0, 200, "it still works");
    let code = trial.code(&client).await;
    for _ in 0..5 {
        assert_eq!(redeem_with(&trial, &client, &code, &[("code_verifier", &long)]).await, invalid);
    }
    assert_eq!(redeem_with(&trial, &client, &code, &[]).await, invalid, "five failures burn it");
}

#[tokio::test]
async fn the_resource_of_a_redemption_is_the_granted_one() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let code = trial.code(&client).await;
    let target = (400, "invalid_target".to_owned());
    for resource in ["https://portico.example/t/acme/echo2/mcp", "https://evil.example/t/acme/echo/mcp", "x"] {
        assert_eq!(redeem_with(&trial, &client, &code, &[("resource", resource)]).await, target, "{resource}");
    }
    let twice = format!("grant_type=authorization_code&client_id={client}&resource=a&resource=b");
    let request = Request::post("/oauth/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(trial.send(request.body(twice.into()).unwrap()).await.error(), "invalid_target");
    assert_eq!(redeem_with(&trial, &client, &code, &[("resource", ECHO)]).await.0, 200);
}

#[tokio::test]
async fn a_valid_replay_soon_is_refused_and_later_ends_the_grant() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let code = trial.code(&client).await;
    let access = trial.redeem(&client, &code).await.json()["access_token"].as_str().unwrap().to_owned();
    let invalid = (400, "invalid_grant".to_owned());
    trial.later(Duration::from_secs(9));
    assert_eq!(redeem_with(&trial, &client, &code, &[]).await, invalid);
    assert_eq!(trial.status(&access, PATH), 200, "a client that did not get the answer");
    trial.later(Duration::from_mins(1));
    assert_eq!(redeem_with(&trial, &client, &code, &[("code_verifier", &"a".repeat(50))]).await, invalid);
    assert_eq!(trial.status(&access, PATH), 200, "an invalid replay ends nothing");
    assert_eq!(redeem_with(&trial, &client, &code, &[]).await, invalid);
    assert_eq!(trial.status(&access, PATH), 401, "a thief, or a victim");
}

#[tokio::test]
async fn of_many_redemptions_at_once_one_wins() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let code = trial.code(&client).await;
    let all = futures_util::future::join_all((0..16).map(|_| redeem_with(&trial, &client, &code, &[]))).await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1, "{all:?}");
    assert!(all.iter().all(|(status, error)| *status == 200 || error == "invalid_grant"), "{all:?}");
}

#[tokio::test]
async fn a_code_expires() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let code = trial.code(&client).await;
    trial.later(Duration::from_secs(61));
    assert_eq!(redeem_with(&trial, &client, &code, &[]).await, (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn refreshing_replaces_the_token_and_forgives_races() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let first = trial.tokens(&client).await["refresh_token"].as_str().unwrap().to_owned();
    let mut successors = Vec::new();
    for _ in 0..24 {
        let seen = trial.refresh(&client, &first).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        successors.push(seen.json());
        trial.later(Duration::from_secs(5));
    }
    let seen = trial.refresh(&client, &first).await;
    assert_eq!((seen.status, seen.headers[header::RETRY_AFTER].to_str().unwrap()), (429, "10"), "one more has to wait");
    for tokens in &successors {
        assert_eq!(trial.status(tokens["access_token"].as_str().unwrap(), PATH), 200, "and ends nothing");
    }
    let second = successors[0]["refresh_token"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(trial.refresh(&client, second).await.status, 200);
}

#[tokio::test]
async fn reuse_after_the_grace_period_ends_the_grant() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let first = trial.tokens(&client).await["refresh_token"].as_str().unwrap().to_owned();
    let next = trial.refresh(&client, &first).await.json();
    assert_eq!(trial.status(next["access_token"].as_str().unwrap(), PATH), 200, "its use is noted");
    trial.later(Duration::from_secs(121));
    let other = trial.client(REDIRECT).await;
    assert_eq!(trial.refresh(&other, &first).await.error(), "invalid_grant");
    assert_eq!(trial.status(next["access_token"].as_str().unwrap(), PATH), 200, "another client ends nothing");
    assert_eq!(trial.refresh(&client, &first).await.error(), "invalid_grant");
    assert_eq!(trial.status(next["access_token"].as_str().unwrap(), PATH), 401);
    assert_eq!(trial.refresh(&client, next["refresh_token"].as_str().unwrap()).await.error(), "invalid_grant");
}

#[tokio::test]
async fn scope_narrows_the_access_token_and_never_widens() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let token = trial.tokens(&client).await["refresh_token"].as_str().unwrap().to_owned();
    let form = |scope| {
        [
            ("grant_type", "refresh_token"),
            ("client_id", client.as_str()),
            ("refresh_token", token.as_str()),
            ("scope", scope),
        ]
    };
    for scope in ["mcp:tools offline_access", "admin", "a\"b"] {
        assert_eq!(trial.form("/oauth/token", &form(scope)).await.error(), "invalid_scope", "{scope}");
    }
    let seen = trial.form("/oauth/token", &form("mcp:read")).await;
    assert_eq!(seen.json()["scope"], "mcp:read");
    let next = seen.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(trial.refresh(&client, &next).await.json()["scope"], "mcp:read mcp:tools", "the successor keeps all");
}

#[tokio::test]
async fn refresh_tokens_end_by_idleness_with_the_grant_and_with_membership() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let mut token = trial.tokens(&client).await["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        trial.later(days(22));
        let seen = trial.refresh(&client, &token).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        token = seen.json()["refresh_token"].as_str().unwrap().to_owned();
    }
    trial.later(days(3));
    assert_eq!(trial.refresh(&client, &token).await.error(), "invalid_grant", "the grant's 90 days are over");

    let client = trial.client(REDIRECT).await;
    let token = trial.tokens(&client).await["refresh_token"].as_str().unwrap().to_owned();
    trial.later(days(31));
    assert_eq!(trial.refresh(&client, &token).await.error(), "invalid_grant", "idle");

    let client = trial.client(REDIRECT).await;
    let tokens = trial.tokens(&client).await;
    let alice = trial.auth.repos.users.by_handle(&"alice".parse().unwrap()).await.unwrap().unwrap();
    let acme = trial.auth.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
    let event = trial.auth.audit(storage::repo::Actor::System, "member.removed", alice.id);
    trial.auth.repos.tenants.remove_member(acme.id, alice.id, &event).await.unwrap();
    trial.feed.sync().await.unwrap();
    let token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(trial.refresh(&client, token).await.error(), "invalid_grant");
}

#[tokio::test]
async fn clients_prove_themselves() {
    let trial = Trial::new().await;
    let confidential = trial
        .register(json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic" }))
        .await
        .json();
    let (id, secret) = (confidential["client_id"].as_str().unwrap(), confidential["client_secret"].as_str().unwrap());
    let public = trial.client(REDIRECT).await;
    let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    // (header, body) → (status, error, challenged)
    let cases = [
        (None, format!("client_id={id}"), (401, "invalid_client", false)),
        (None, format!("client_id={id}&client_secret=wrong"), (401, "invalid_client", false)),
        (None, format!("client_id={id}&client_secret={secret}"), (400, "invalid_grant", false)),
        (Some(basic(id, secret)), String::new(), (400, "invalid_grant", false)),
        (Some(basic(id, "wrong")), String::new(), (401, "invalid_client", true)),
        (Some(basic(id, secret)), format!("client_id={public}"), (400, "invalid_request", false)),
        (Some(basic(id, secret)), format!("client_secret={secret}"), (400, "invalid_request", false)),
        (Some("Bearer x".to_owned()), String::new(), (401, "invalid_client", true)),
        (None, format!("client_id={public}&client_secret=x"), (401, "invalid_client", false)),
        (None, format!("client_id={public}"), (400, "invalid_grant", false)),
        (Some(basic(&public, "")), String::new(), (400, "invalid_grant", false)),
        (None, "client_id=c_unknown".to_owned(), (401, "invalid_client", false)),
        // Its document is not to be had now, which is no reason to forget a registration.
        (None, "client_id=https://client.example/metadata.json".to_owned(), (503, "temporarily_unavailable", false)),
        (None, String::new(), (401, "invalid_client", false)),
    ];
    for (header, body, (status, error, challenged)) in cases {
        let form = format!("grant_type=refresh_token&refresh_token=rt_unknown&{body}");
        let mut request =
            Request::post("/oauth/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(header) = &header {
            request = request.header(header::AUTHORIZATION, header);
        }
        let seen = trial.send(request.body(form.into()).unwrap()).await;
        let got = (seen.status, seen.error(), seen.headers.contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(got, (status, error.to_owned(), challenged), "{header:?} {body}");
    }
}

#[tokio::test]
async fn what_is_no_form_is_an_error_and_no_crash() {
    let trial = Trial::new().await;
    for (kind, body, status) in [
        ("application/json", "{}".to_owned(), 400),
        ("application/x-www-form-urlencoded", "a=%zz".to_owned(), 400),
        ("application/x-www-form-urlencoded", "grant_type=x&grant_type=x".to_owned(), 400),
        ("application/x-www-form-urlencoded", "x".repeat(40_000), 413),
    ] {
        let request = Request::post("/oauth/token").header(header::CONTENT_TYPE, kind).body(body.into()).unwrap();
        let seen = trial.send(request).await;
        assert_eq!((seen.status, seen.error().as_str()), (status, "invalid_request"), "{}", seen.text);
    }
    let preflight = Request::options("/oauth/token").body(axum::body::Body::empty()).unwrap();
    let seen = trial.send(preflight).await;
    assert_eq!(
        (seen.status, &seen.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN]),
        (204, &http::HeaderValue::from_static("*"))
    );
}

#[tokio::test]
async fn trouble_of_ours_is_never_blamed_on_the_client() {
    let trial = Trial::new().await;
    let client = trial.client(REDIRECT).await;
    let tokens = trial.tokens(&client).await;
    let token = tokens["refresh_token"].as_str().unwrap();
    trial.break_store().await;
    for form in [
        redemption(&client, "any").to_vec(),
        vec![("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", token)],
    ] {
        let seen = trial.form("/oauth/token", &form).await;
        assert_eq!((seen.status, seen.error().as_str()), (503, "temporarily_unavailable"), "{}", seen.text);
    }
    let register = trial.register(json!({ "redirect_uris": [REDIRECT] })).await;
    assert_eq!(register.status, 503, "{}", register.text);
    assert_eq!(trial.status(tokens["access_token"].as_str().unwrap(), PATH), 200, "the guard needs no store");
}
