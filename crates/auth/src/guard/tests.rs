use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{HeaderMap, HeaderValue, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use storage::repo::Actor;

use super::has_access_token;
use crate::trial::{REDIRECT, Trial};

const PATH: &str = "/t/acme/echo/mcp";

async fn token(trial: &Trial) -> String {
    let client = trial.client(REDIRECT).await;
    trial.tokens(&client).await["access_token"].as_str().unwrap().to_owned()
}

/// A token of our own key with a changed header or claims.
fn forge(trial: &Trial, token: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let mut parts = token.split('.').map(|part| B64.decode(part).unwrap());
    let mut next = || serde_json::from_slice::<Value>(&parts.next().unwrap()).unwrap();
    let (mut head, mut claims) = (next(), next());
    change(&mut head, &mut claims);
    let message = format!("{}.{}", B64.encode(head.to_string()), B64.encode(claims.to_string()));
    let signature = trial.auth.snapshot.keys().sign_raw(message.as_bytes());
    format!("{message}.{signature}")
}

#[tokio::test]
async fn a_token_is_for_one_resource() {
    let trial = Trial::new().await;
    let token = token(&trial).await;
    assert_eq!(trial.status(&token, PATH), 200);
    for other in ["/t/acme/echo2/mcp", "/t/bravo/echo/mcp", "/t/acme/absent/mcp", "/t/nobody/echo/mcp"] {
        assert_eq!(trial.status(&token, other), 401, "{other}");
    }
    let guard = trial.auth.guard();
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("bearer {token}").parse().unwrap());
    let authorized = guard.check(&headers, &PATH.parse().unwrap(), Some("x=1")).unwrap();
    assert!(authorized.scopes.grants("mcp:tools") && authorized.principal.user().is_some());
}

#[tokio::test]
async fn nobody_learns_whether_a_server_is_there() {
    let trial = Trial::new().await;
    let guard = trial.auth.guard();
    let answer = |path: &str| {
        let answer = guard.check(&HeaderMap::new(), &path.parse().unwrap(), None).unwrap_err();
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().replace(path, "{path}");
        (answer.status(), challenge, answer.headers().len(), answer.into_body())
    };
    let existing = answer(PATH);
    assert_eq!(existing, answer("/t/acme/absent/mcp"));
    assert_eq!(existing, answer("/t/nobody/absent/mcp"));
    let (status, challenge, ..) = existing;
    assert_eq!(status, 401);
    assert_eq!(
        challenge,
        "Bearer resource_metadata=\"https://portico.example/.well-known/oauth-protected-resource{path}\", \
         scope=\"mcp:read mcp:tools\""
    );
}

#[tokio::test]
async fn malformed_requests_are_400_and_bad_tokens_401() {
    let trial = Trial::new().await;
    let good = token(&trial).await;
    let guard = trial.auth.guard();
    let check = |values: &[&str], query: Option<&str>| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        guard.check(&headers, &PATH.parse().unwrap(), query).map_or_else(|answer| answer.status().as_u16(), |_| 200)
    };
    let bearer = format!("Bearer {good}");
    assert_eq!(check(&[&bearer], None), 200);
    for values in [&["Bearer"][..], &["Bearer "], &["Basic eDp5"], &["Bearer a b"], &["DPoP x"], &[&bearer, &bearer]] {
        assert_eq!(check(values, None), 400, "{values:?}");
    }
    for query in ["access_token=x", "a=1&access_token", "%61ccess_token=x", "access%5ftoken=x"] {
        assert_eq!(check(&[&bearer], Some(query)), 400, "{query}");
        assert_eq!(check(&[], Some(query)), 400, "{query}");
    }
    assert_eq!(check(&[&bearer], Some("my_access_token=x&code=1")), 200);
    let long = format!("Bearer {}", "a".repeat(9000));
    for value in ["Bearer x", "Bearer a.b.c", "Bearer a.b.c.d", &long, &bearer[..bearer.len() - 2]] {
        assert_eq!(check(&[value], None), 401, "{}", &value[..value.len().min(40)]);
    }
    assert!(!has_access_token("") && !has_access_token("%zz=1"));
}

type Change = fn(&mut Value);

#[tokio::test]
async fn the_algorithm_is_ours_and_so_is_the_header() {
    let trial = Trial::new().await;
    let token = token(&trial).await;
    assert_eq!(trial.status(&forge(&trial, &token, |_, _| {}), PATH), 200, "the forgery itself is good");
    let heads: [(&str, Change); 11] = [
        ("none", |head| head["alg"] = json!("none")),
        ("HS256", |head| head["alg"] = json!("HS256")),
        ("ES384", |head| head["alg"] = json!("ES384")),
        ("another kid", |head| head["kid"] = json!("other")),
        ("a path as kid", |head| head["kid"] = json!("../../etc/passwd")),
        ("no kid", |head| drop(head.as_object_mut().unwrap().remove("kid"))),
        ("typ JWT", |head| head["typ"] = json!("JWT")),
        ("an ID-JAG", |head| head["typ"] = json!("oauth-id-jag+jwt")),
        ("jwk", |head| head["jwk"] = json!({"kty": "oct", "k": "AA"})),
        ("jku", |head| head["jku"] = json!("https://evil.example/jwks")),
        ("crit", |head| head["crit"] = json!(["exp"])),
    ];
    for (name, change) in heads {
        assert_eq!(trial.status(&forge(&trial, &token, |head, _| change(head)), PATH), 401, "{name}");
    }
    let unsigned = forge(&trial, &token, |head, _| head["alg"] = json!("none"));
    assert_eq!(trial.status(&unsigned[..=unsigned.rfind('.').unwrap()], PATH), 401, "no signature at all");
    assert_eq!(trial.status(&forge(&trial, &token, |head, _| head["typ"] = json!("application/AT+jwt")), PATH), 200);
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let trial = Trial::new().await;
    let token = token(&trial).await;
    let keys: Value = serde_json::from_slice(&trial.auth.snapshot.keys().document()).unwrap();
    let kid = keys["keys"][0]["kid"].as_str().unwrap();
    let claims: Value = serde_json::from_slice(&B64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    for secret in [keys["keys"][0].to_string(), keys.to_string(), keys["keys"][0]["x"].as_str().unwrap().to_owned()] {
        let mut head = Header::new(Algorithm::HS256);
        (head.kid, head.typ) = (Some(kid.to_owned()), Some("at+jwt".to_owned()));
        let forged = jsonwebtoken::encode(&head, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
        assert_eq!(trial.status(&forged, PATH), 401);
    }
}

#[tokio::test]
async fn claims_have_one_type_and_all_are_needed() {
    let trial = Trial::new().await;
    let token = token(&trial).await;
    let claims: Value = serde_json::from_slice(&B64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    for name in claims.as_object().unwrap().keys() {
        let without = forge(&trial, &token, |_, claims| drop(claims.as_object_mut().unwrap().remove(name)));
        assert_eq!(trial.status(&without, PATH), 401, "without {name}");
        for value in [json!(null), json!([claims[name]]), json!({}), json!(true)] {
            let confused = forge(&trial, &token, |_, claims| claims[name] = value.clone());
            assert_eq!(trial.status(&confused, PATH), 401, "{name} as {value}");
        }
    }
    for (name, value) in [
        ("exp", json!("9999999999")),
        ("exp", json!(9_999_999_999.5)),
        ("iat", json!(9_999_999_999_i64)),
        ("aud", json!(["https://portico.example/t/acme/echo/mcp", 1])),
        ("aud", json!("https://portico.example/t/acme/echo/mcp/")),
        ("iss", json!("https://portico.example/")),
        ("iss", json!("https://evil.example")),
        ("tenant", claims["srv"].clone()),
        ("srv", json!("srv_01890000000070008000000000000000")),
        ("sub", json!("alice")),
    ] {
        let confused = forge(&trial, &token, |_, claims| claims[name] = value.clone());
        assert_eq!(trial.status(&confused, PATH), 401, "{name} as {value}");
    }
}

#[tokio::test]
async fn what_can_end_is_looked_at_every_time() {
    let trial = Trial::new().await;
    let first = token(&trial).await;
    let second = token(&trial).await;
    assert_eq!((trial.status(&first, PATH), trial.status(&second, PATH)), (200, 200), "both are remembered now");
    let alice = trial.auth.repos.users.by_handle(&"alice".parse().unwrap()).await.unwrap().unwrap();
    let grants = trial.auth.grants(alice.id, None, 10).await.unwrap();
    assert_eq!(grants.len(), 2);
    let bob = trial.auth.repos.users.by_handle(&"bob".parse().unwrap()).await.unwrap().unwrap();
    assert!(!trial.auth.revoke(bob.id, grants[0].id).await.unwrap(), "only one's own");
    assert!(trial.auth.revoke(alice.id, grants[0].id).await.unwrap());
    assert!(!trial.auth.revoke(alice.id, grants[0].id).await.unwrap(), "once");
    let mut both = [trial.status(&first, PATH), trial.status(&second, PATH)];
    both.sort_unstable();
    assert_eq!(both, [200, 401], "one is over and the other is not");
    let remaining = if trial.status(&first, PATH) == 200 { first } else { second };

    let acme = trial.auth.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
    let mut member = storage::repo::Member { tenant: acme.id, user: alice.id, role: model::Role::Viewer };
    let event = || trial.auth.audit(Actor::System, "member.changed", alice.id);
    trial.auth.repos.tenants.put_member(&member, &event()).await.unwrap();
    trial.feed.sync().await.unwrap();
    assert_eq!(trial.status(&remaining, PATH), 403, "a viewer may not call");
    member.role = model::Role::Member;
    trial.auth.repos.tenants.put_member(&member, &event()).await.unwrap();
    trial.feed.sync().await.unwrap();
    assert_eq!(trial.status(&remaining, PATH), 200);

    let mut blocked = alice.clone();
    blocked.state = storage::repo::UserState::Blocked;
    trial.auth.repos.users.update(&blocked, &event()).await.unwrap();
    trial.feed.sync().await.unwrap();
    assert_ne!(trial.status(&remaining, PATH), 200, "blocked");
    trial.auth.repos.users.update(&alice, &event()).await.unwrap();
    trial.feed.sync().await.unwrap();
    trial.later(Duration::from_secs(3600 + 31));
    assert_eq!(trial.status(&remaining, PATH), 401, "expired");
}

#[tokio::test]
async fn losing_access_is_no_matter_of_scopes() {
    let trial = Trial::new().await;
    let token = token(&trial).await;
    let alice = trial.auth.repos.users.by_handle(&"alice".parse().unwrap()).await.unwrap().unwrap();
    let acme = trial.auth.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
    let member = storage::repo::Member { tenant: acme.id, user: alice.id, role: model::Role::Viewer };
    let event = trial.auth.audit(Actor::System, "member.changed", alice.id);
    trial.auth.repos.tenants.put_member(&member, &event).await.unwrap();
    trial.feed.sync().await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let answer = trial.auth.guard().check(&headers, &PATH.parse().unwrap(), None).unwrap_err();
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key(header::WWW_AUTHENTICATE));

    let answer = trial.auth.guard().insufficient_scope(&PATH.parse().unwrap(), "mcp:read mcp:tools");
    assert_eq!(answer.status(), 403);
    let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"mcp:read mcp:tools\""));
}
