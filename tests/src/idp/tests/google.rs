use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};

use super::*;
use crate::idp::{Fault, GoogleIdp};

async fn start() -> (GoogleIdp, Arc<ManualClock>) {
    let (clock, entropy) = parts();
    (GoogleIdp::start(registration(), bob(), as_clock(&clock), entropy).await.unwrap(), clock)
}

async fn endpoint(idp: &GoogleIdp, name: &str) -> String {
    let document = get(&format!("{}/.well-known/openid-configuration", idp.issuer), &[]).await.json();
    assert_eq!(document["issuer"], idp.issuer);
    document[name].as_str().unwrap().to_owned()
}

async fn authorize(idp: &GoogleIdp, more: &str) -> String {
    let endpoint = endpoint(idp, "authorization_endpoint").await;
    format!(
        "{endpoint}?client_id=portico&redirect_uri={CALLBACK}&response_type=code&scope=openid%20email%20profile\
         &state=xyz&nonce=n-1&code_challenge={CHALLENGE}&code_challenge_method=S256{more}"
    )
}

async fn tokens(idp: &GoogleIdp, more: &str) -> Value {
    let answer = post(&authorize(idp, more).await, &[], "account=1001").await;
    let code = answer.parameter("code").unwrap();
    let body = format!(
        "grant_type=authorization_code&{CREDENTIALS}&redirect_uri={CALLBACK}&code_verifier={VERIFIER}&code={code}"
    );
    post(&endpoint(idp, "token_endpoint").await, &[], &body).await.json()
}

/// What a careful client checks, apart from the nonce; time is `at`.
async fn verified(idp: &GoogleIdp, token: &str, at: Timestamp) -> Result<Value, String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let keys = get(&endpoint(idp, "jwks_uri").await, &[]).await.json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("no such key")?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["portico"]);
    validation.set_issuer(&[&idp.issuer]);
    // The clock is the test's: expiry is checked below.
    validation.validate_exp = false;
    let claims = decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation);
    let claims = claims.map_err(|error| error.to_string())?.claims;
    if claims["exp"].as_i64().unwrap() < at.seconds() {
        return Err("expired".to_owned());
    }
    Ok(claims)
}

#[tokio::test]
async fn signs_what_its_keys_verify() {
    let (idp, clock) = start().await;
    let tokens = tokens(&idp, "").await;
    let claims = verified(&idp, tokens["id_token"].as_str().unwrap(), clock.now()).await.unwrap();
    assert_eq!(claims["sub"], "1001");
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["email_verified"], true);
    assert!(claims.get("hd").is_none(), "an account of no organisation");
    let userinfo = endpoint(&idp, "userinfo_endpoint").await;
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    assert_eq!(get(&userinfo, &[("authorization", &bearer)]).await.json()["sub"], "1001");
}

#[tokio::test]
async fn every_fault_is_one_that_a_careful_client_sees() {
    for fault in [Fault::Nonce, Fault::Audience, Fault::Issuer, Fault::Key, Fault::Unsigned, Fault::Expired] {
        let (idp, clock) = start().await;
        idp.fail_with(fault);
        let token = tokens(&idp, "").await["id_token"].as_str().unwrap().to_owned();
        match verified(&idp, &token, clock.now()).await {
            Ok(claims) => assert!(fault == Fault::Nonce && claims["nonce"] != "n-1", "{fault:?}: {claims}"),
            Err(_) => assert!(fault != Fault::Nonce),
        }
    }
}

#[tokio::test]
async fn unsigned_tokens_are_whole_but_for_the_signature() {
    let (idp, _) = start().await;
    idp.fail_with(Fault::Unsigned);
    let token = tokens(&idp, "").await["id_token"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&BASE64URL.decode(parts[1]).unwrap()).unwrap();
    assert_eq!((claims["sub"].as_str(), parts[2]), (Some("1001"), ""));
}

#[tokio::test]
async fn gives_a_refresh_token_once() {
    let (idp, _) = start().await;
    assert!(tokens(&idp, "").await.get("refresh_token").is_none(), "only offline access has one");
    let (idp, _) = start().await;
    assert!(tokens(&idp, "&access_type=offline").await.get("refresh_token").is_some());
    assert!(tokens(&idp, "&access_type=offline").await.get("refresh_token").is_none());
    assert!(tokens(&idp, "&access_type=offline&prompt=consent").await.get("refresh_token").is_some());
}

#[tokio::test]
async fn scopes_come_back_under_their_full_names() {
    let (idp, _) = start().await;
    let base = "https://www.googleapis.com/auth/userinfo";
    assert_eq!(tokens(&idp, "").await["scope"], format!("openid {base}.email {base}.profile"));
}

#[tokio::test]
async fn an_unknown_callback_is_a_page_and_not_a_redirect() {
    let (idp, _) = start().await;
    let url = authorize(&idp, "").await.replace("/idp&", "/idp/deeper&");
    let answer = post(&url, &[], "account=1001").await;
    assert!(
        answer.status == 400 && answer.header("location").is_none() && answer.body.contains("redirect_uri_mismatch")
    );
}

#[tokio::test]
async fn a_code_works_once_and_in_time() {
    let (idp, clock) = start().await;
    let answer = post(&authorize(&idp, "").await, &[], "account=1001").await;
    let body = format!(
        "grant_type=authorization_code&{CREDENTIALS}&redirect_uri={CALLBACK}&code_verifier={VERIFIER}&code={}",
        answer.parameter("code").unwrap()
    );
    let token = endpoint(&idp, "token_endpoint").await;
    assert_eq!(post(&token, &[], &body).await.status, 200);
    let again = post(&token, &[], &body).await;
    assert_eq!((again.status, again.json()["error"].as_str()), (400, Some("invalid_grant")));
    let late = post(&authorize(&idp, "").await, &[], "account=1001").await.parameter("code").unwrap();
    clock.advance(LATER);
    let body = body.rsplit_once('=').unwrap().0.to_owned() + "=" + &late;
    assert_eq!(post(&token, &[], &body).await.json()["error"], "invalid_grant");
}
