//! Tokens that are not to be believed.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{
    Idp,
    idp::{Signer, signer},
    oidc, round_trip,
};
use crate::bench::Bench;

/// Changes one thing about an otherwise good sign-in, which then has to fail without a session.
async fn refused(why: &str, twist: impl FnOnce(&Idp)) {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    twist(&idp);
    let mut browser = bench.browser();
    let answer = round_trip(&mut browser, &connection, &idp).await;
    assert_eq!(answer.status.as_u16(), 502, "{why}: {}", answer.body);
    assert_eq!(browser.session(), None, "{why}");
    assert!(!bench.repos.users.any().await.unwrap(), "{why}");
}

#[tokio::test]
async fn claims_must_hold() {
    let now = 1_790_000_000;
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(null)),
        ("aud", json!("another client")),
        ("aud", json!(["client of corp", "another client"])),
        ("aud", json!([])),
        ("azp", json!("another client")),
        ("exp", json!(now - 61)),
        ("exp", json!(null)),
        ("exp", json!("tomorrow")),
        ("iat", json!(now + 120)),
        ("nbf", json!(now + 120)),
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("sub", json!("x".repeat(256))),
    ] {
        refused(&format!("{claim} = {value}"), |idp| idp.claim(claim, value)).await;
    }
}

#[tokio::test]
async fn claims_that_are_allowed_are() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    for (claim, value) in [
        ("azp", json!("client of corp")),
        ("aud", json!(["client of corp", "another client"])),
        ("exp", json!(1_790_000_000 - 30)),
        ("at_hash", json!(null)),
        ("hd", json!("example.com")),
    ] {
        idp.claim(claim, value.clone());
        let answer = round_trip(&mut bench.browser(), &connection, &idp).await;
        assert_eq!(answer.status.as_u16(), 303, "{claim} = {value}: {}", answer.body);
    }
}

#[tokio::test]
async fn signatures_must_hold() {
    refused("another key under the same name", |idp| idp.sign_with(signer("key-1").0)).await;
    refused("a key that nobody published", |idp| idp.sign_with(signer("key-2").0)).await;
    refused("a key of a kind that we do not know", |idp| idp.sign_with(signer("odd").0)).await;
    refused("no name, another key", |idp| {
        let other = signer("key-1").0;
        idp.sign_with(Signer { header: Header::new(Algorithm::ES256), ..other });
    })
    .await;
    refused("the public key as a shared secret", |idp| {
        let header = Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::HS256) };
        let secret = serde_json::to_vec(&idp.jwk()).unwrap();
        idp.sign_with(Signer { header, key: EncodingKey::from_secret(&secret) });
    })
    .await;
    refused("a critical extension", |idp| {
        let Signer { header, key } = idp.signer();
        idp.sign_with(Signer { header: Header { crit: Some(vec!["b64".to_owned()]), ..header }, key });
    })
    .await;
}

#[tokio::test]
async fn a_single_key_needs_no_name() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    idp.sign_with(Signer { header: Header::new(Algorithm::ES256), ..idp.signer() });
    round_trip(&mut bench.browser(), &connection, &idp).await.assert(303);
}

#[tokio::test]
async fn userinfo_completes_but_never_replaces() {
    for (about, status) in [
        (json!({"sub": "subject-1", "name": "Grace", "email": "grace@example.com", "email_verified": true}), 303),
        (json!({"sub": "somebody else", "name": "Eve"}), 502),
        // Away: no reason to refuse.
        (json!(null), 303),
    ] {
        let (bench, idp) = (Bench::new().await, Idp::start().await);
        let connection = oidc(&bench, &idp, "corp").await;
        for claim in ["name", "email", "email_verified"] {
            idp.claim(claim, json!(null));
        }
        idp.say_about_userinfo(about.clone());
        let mut browser = bench.browser();
        round_trip(&mut browser, &connection, &idp).await.assert(status);
        let person = browser.person().await;
        let name = about["name"].as_str().unwrap_or("Unnamed").to_owned();
        assert_eq!(person, (status == 303).then_some(name));
    }
}
