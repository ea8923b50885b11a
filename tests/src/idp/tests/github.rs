use super::*;
use crate::idp::GithubIdp;

async fn start() -> (GithubIdp, Arc<ManualClock>) {
    let (clock, entropy) = parts();
    (GithubIdp::start(registration(), bob(), as_clock(&clock), entropy).await.unwrap(), clock)
}

fn authorize(idp: &GithubIdp, more: &str) -> String {
    format!(
        "{}?client_id=portico&scope=read:user%20user:email&state=xyz&code_challenge={CHALLENGE}\
         &code_challenge_method=S256{more}",
        idp.authorize_url
    )
}

async fn code(idp: &GithubIdp) -> String {
    let answer = post(&authorize(idp, ""), &[], "account=1001").await;
    assert_eq!(answer.parameter("state").as_deref(), Some("xyz"));
    answer.parameter("code").unwrap()
}

async fn token(idp: &GithubIdp) -> String {
    let body = format!("{CREDENTIALS}&code_verifier={VERIFIER}&code={}", code(idp).await);
    let answer = post(&idp.token_url, &[("accept", "application/json")], &body).await.json();
    assert_eq!(answer["scope"], "read:user,user:email");
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn answers_as_a_form_unless_json_is_accepted() {
    let (idp, _) = start().await;
    let body = format!("{CREDENTIALS}&code_verifier={VERIFIER}&code={}", code(&idp).await);
    let answer = post(&idp.token_url, &[], &body).await;
    assert!(answer.body.starts_with("access_token=gho_"), "{}", answer.body);
    assert!(answer.body.contains("scope=read%3Auser%2Cuser%3Aemail&token_type=bearer"), "{}", answer.body);
}

#[tokio::test]
async fn errors_of_the_token_endpoint_are_http_200() {
    let (idp, clock) = start().await;
    let accept = [("accept", "application/json")];
    let late = code(&idp).await;
    clock.advance(LATER);
    for (body, error) in [
        ("client_id=portico&client_secret=wrong&code=x".to_owned(), "incorrect_client_credentials"),
        (format!("{CREDENTIALS}&code=unknown"), "bad_verification_code"),
        (format!("{CREDENTIALS}&code_verifier={VERIFIER}&code={late}"), "bad_verification_code"),
        (format!("{CREDENTIALS}&code_verifier=wrong&code={}", code(&idp).await), "bad_verification_code"),
        (
            format!("{CREDENTIALS}&code_verifier={VERIFIER}&redirect_uri=http://else&code={}", code(&idp).await),
            "redirect_uri_mismatch",
        ),
    ] {
        let answer = post(&idp.token_url, &accept, &body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (200, Some(error)));
    }
}

#[tokio::test]
async fn shows_no_page_to_a_person_who_agreed() {
    let (idp, _) = start().await;
    let page = get(&authorize(&idp, ""), &[]).await;
    assert!(page.status == 200 && page.body.contains("<button name=account value='1001'>"), "{}", page.body);
    let cookie = post(&authorize(&idp, ""), &[], "account=1001").await.cookie();
    assert!(get(&authorize(&idp, ""), &[("cookie", &cookie)]).await.parameter("code").is_some());
    assert_eq!(get(&authorize(&idp, "&prompt=select_account"), &[("cookie", &cookie)]).await.status, 200);
}

#[tokio::test]
async fn accepts_callbacks_below_the_registered_one() {
    let (idp, _) = start().await;
    let below = authorize(&idp, &format!("&redirect_uri={CALLBACK}/deeper"));
    assert_eq!(post(&below, &[], "account=1001").await.sent_to().0, format!("{CALLBACK}/deeper"));
    for other in ["http://127.0.0.1:8080/oauth/callback/idpx", "http://127.0.0.1:9999/oauth/callback/idp"] {
        let answer = get(&authorize(&idp, &format!("&redirect_uri={other}")), &[]).await;
        assert_eq!(answer.parameter("error").as_deref(), Some("redirect_uri_mismatch"));
        assert_eq!(answer.sent_to().0, CALLBACK);
    }
}

#[tokio::test]
async fn a_person_who_cancels_is_sent_back() {
    let (idp, _) = start().await;
    let answer = post(&authorize(&idp, ""), &[], "account=").await;
    assert_eq!(answer.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.parameter("state").as_deref(), Some("xyz"));
}

#[tokio::test]
async fn the_api_wants_a_user_agent_and_a_token() {
    let (idp, _) = start().await;
    let bearer = format!("Bearer {}", token(&idp).await);
    let (user, agent) = (format!("{}/user", idp.api_url), ("user-agent", "test"));
    assert_eq!(get(&user, &[("authorization", &bearer)]).await.status, 403);
    assert_eq!(get(&user, &[("authorization", "Bearer gho_x"), agent]).await.status, 401);
    let answer = get(&user, &[("authorization", &bearer), agent]).await.json();
    assert!(answer["id"] == 1001 && answer["email"].is_null(), "{answer}");
    let emails = get(&format!("{user}/emails"), &[("authorization", &bearer), agent]).await.json();
    let primary: Vec<_> = emails.as_array().unwrap().iter().filter(|email| email["primary"] == true).collect();
    assert!(primary.len() == 1 && primary[0]["email"] == "bob@example.com", "{emails}");
}
