mod identity;
mod idp;
mod logs;

use std::{collections::BTreeMap, time::Duration};

use model::TenantId;
use serde_json::json;
use storage::repo::{Connection, ConnectionKind, ConnectionOwner, SignInMethod};

use self::idp::Idp;
use crate::bench::{Answer, Bench, Jar};

const PLATFORM: ConnectionOwner = ConnectionOwner::Platform;

async fn oidc(bench: &Bench, idp: &Idp, slug: &str) -> Connection {
    bench.connection(slug, ConnectionKind::Oidc, PLATFORM, idp.endpoints()).await
}

/// Starts a sign-in; gives what the provider was sent.
async fn depart(browser: &mut Jar, connection: &Connection) -> BTreeMap<String, String> {
    browser.get(&format!("/login/{}?return=/t/acme", connection.callback)).await.query()
}

/// Comes back with these parameters.
async fn arrive(browser: &mut Jar, connection: &Connection, query: &[(&str, &str)]) -> Answer {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    browser.get(&format!("/oauth/callback/{}?{query}", connection.callback)).await
}

/// A whole sign-in.
async fn round_trip(browser: &mut Jar, connection: &Connection, idp: &Idp) -> Answer {
    let sent = depart(browser, connection).await;
    let code = idp.authorize(&sent);
    arrive(browser, connection, &[("code", &code), ("state", &sent["state"])]).await
}

#[tokio::test]
async fn openid_connect_signs_in() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let page = browser.get("/login?return=/t/acme").await;
    assert!(page.body.contains("href=\"/login/corp?return=%2Ft%2Facme\""), "{}", page.body);
    assert!(page.body.contains("Continue with Provider corp"), "{}", page.body);

    let sent = depart(&mut browser, &connection).await;
    assert_eq!(sent["response_type"], "code");
    assert_eq!(sent["client_id"], "client of corp");
    assert_eq!(sent["redirect_uri"], "https://portico.example/oauth/callback/corp");
    assert_eq!(sent["scope"], "openid profile email");
    assert_eq!(sent["code_challenge_method"], "S256");
    for random in ["state", "nonce", "code_challenge"] {
        assert!(sent[random].len() >= 43, "{random}: {}", sent[random]);
    }
    let code = idp.authorize(&sent);
    let answer = arrive(&mut browser, &connection, &[("code", &code), ("state", &sent["state"])]).await;
    assert_eq!(answer.location(), "/t/acme");
    assert_eq!(browser.person().await.as_deref(), Some("Ada"));
    assert_eq!(browser.cookies.len(), 1, "only the session stays: {:?}", browser.cookies.keys());

    // The same person again is the same person.
    let people = bench.repos.users.list(None, 10).await.unwrap();
    assert_eq!((people.len(), people[0].email.as_deref()), (1, Some("ada@example.com")));
    round_trip(&mut bench.browser(), &connection, &idp).await.assert(303);
    assert_eq!(bench.repos.users.list(None, 10).await.unwrap(), people);
    let identity = bench.repos.users.identity(connection.id, "subject-1").await.unwrap().unwrap();
    assert!(identity.email_verified);
}

#[tokio::test]
async fn github_signs_in_with_all_its_quirks() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = bench.connection("github", ConnectionKind::Github, PLATFORM, idp.github_endpoints()).await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    assert_eq!((sent["scope"].as_str(), sent.get("nonce")), ("read:user user:email", None));
    let code = idp.authorize(&sent);
    arrive(&mut browser, &connection, &[("code", &code), ("state", &sent["state"])]).await.assert(303);
    assert_eq!(browser.person().await.as_deref(), Some("octo"), "no name: the login");
    let identity = bench.repos.users.identity(connection.id, "583231").await.unwrap().unwrap();
    // Not the address on the profile, nor an unverified one, nor a secondary one.
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("primary@example.com"), true));

    // Errors come with status 200.
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let answer = arrive(&mut browser, &connection, &[("code", "stale"), ("state", &sent["state"])]).await;
    assert!(answer.assert(502).body.contains("Try again"), "{}", answer.body);
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn google_may_name_itself_without_a_scheme_only_when_it_is_google() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = bench.connection("google", ConnectionKind::Google, PLATFORM, idp.endpoints()).await;
    round_trip(&mut bench.browser(), &connection, &idp).await.assert(303);
    idp.claim("iss", json!("accounts.google.com"));
    round_trip(&mut bench.browser(), &connection, &idp).await.assert(502);
}

#[tokio::test]
async fn another_browser_cannot_finish_nor_disturb() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let (mut ours, mut theirs) = (bench.browser(), bench.browser());
    let sent = depart(&mut ours, &connection).await;
    let code = idp.authorize(&sent);
    let back = [("code", code.as_str()), ("state", sent["state"].as_str())];
    depart(&mut theirs, &connection).await;
    for jar in [&mut theirs, &mut bench.browser()] {
        let answer = arrive(jar, &connection, &back).await;
        answer.assert(400);
        assert_eq!(jar.session(), None);
    }
    let denied = [("error", "access_denied"), ("state", sent["state"].as_str())];
    arrive(&mut theirs, &connection, &denied).await.assert(400);
    assert_eq!(idp.token_requests(), 0);
    arrive(&mut ours, &connection, &back).await.assert(303);
}

#[tokio::test]
async fn an_answer_counts_once_and_for_ten_minutes() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let back = [("code", &*idp.authorize(&sent)), ("state", &sent["state"])];
    let mut copy = browser.clone();
    arrive(&mut browser, &connection, &back).await.assert(303);
    arrive(&mut copy, &connection, &back).await.assert(400);
    assert_eq!(idp.token_requests(), 1);

    let sent = depart(&mut browser, &connection).await;
    bench.clock.advance(Duration::from_mins(10));
    let back = [("code", &*idp.authorize(&sent)), ("state", &sent["state"])];
    arrive(&mut browser, &connection, &back).await.assert(400);
}

#[tokio::test]
async fn a_provider_that_refuses_leaves_a_way_back() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let denied = [("error", "access_denied"), ("error_description", "<b>no"), ("state", &sent["state"])];
    let answer = arrive(&mut browser, &connection, &denied).await;
    answer.assert(403);
    assert!(answer.body.contains("declined") && answer.body.contains("/login?return=%2Ft%2Facme"), "{}", answer.body);
    assert!(!answer.body.contains("<b>"), "{}", answer.body);
    assert!(browser.cookies.keys().all(|name| !name.contains("flow")), "{:?}", browser.cookies.keys());
    arrive(&mut browser, &connection, &denied).await.assert(400);
}

#[tokio::test]
async fn answers_do_not_cross_connections() {
    let bench = Bench::new().await;
    let (honest, evil) = (Idp::start().await, Idp::start().await);
    let (a, b) = (oidc(&bench, &honest, "honest").await, oidc(&bench, &evil, "evil").await);
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &a).await;
    let back = [("code", &*honest.authorize(&sent)), ("state", &sent["state"])];
    arrive(&mut browser, &b, &back).await.assert(400);
    let no_such = Connection { callback: "nowhere".to_owned(), ..b };
    arrive(&mut browser, &no_such, &back).await.assert(400);
    assert_eq!((honest.token_requests(), evil.token_requests()), (0, 0), "the code went nowhere");
    // The right way round it is still good: nothing was consumed.
    arrive(&mut browser, &a, &back).await.assert(303);
}

#[tokio::test]
async fn an_issuer_that_names_itself_must() {
    let (bench, idp) = (Bench::new().await, Idp::naming_itself().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let (code, issuer) = (idp.authorize(&sent), idp.issuer());
    for iss in [None, Some("https://evil.example"), Some(&*format!("{issuer}/"))] {
        let mut back = vec![("code", &*code), ("state", &*sent["state"])];
        back.extend(iss.map(|iss| ("iss", iss)));
        arrive(&mut browser.clone(), &connection, &back).await.assert(400);
    }
    assert_eq!(idp.token_requests(), 0);
    let back = [("code", &*code), ("state", &sent["state"]), ("iss", &issuer)];
    arrive(&mut browser, &connection, &back).await.assert(303);

    // One that does not, may not be named wrongly either.
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let back = [("code", "x"), ("state", &*sent["state"]), ("iss", "https://evil.example")];
    arrive(&mut browser, &connection, &back).await.assert(400);
}

#[tokio::test]
async fn parameters_come_once() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let (code, state) = (idp.authorize(&sent), &sent["state"]);
    for twice in [("code", "x"), ("state", "x"), ("iss", "x"), ("error", "x")] {
        let back = [("code", &*code), ("state", state), ("iss", &idp.issuer()), ("error", "y"), twice];
        arrive(&mut browser, &connection, &back).await.assert(400);
    }
    arrive(&mut browser, &connection, &[("code", &code)]).await.assert(400);
    arrive(&mut browser, &connection, &[("code", &code), ("state", "")]).await.assert(400);
    arrive(&mut browser, &connection, &[("code", &code), ("state", state)]).await.assert(303);
}

#[tokio::test]
async fn the_same_address_at_two_providers_is_two_people() {
    let bench = Bench::new().await;
    let (one, two) = (Idp::start().await, Idp::start().await);
    for (idp, slug) in [(&one, "one"), (&two, "two")] {
        let connection = oidc(&bench, idp, slug).await;
        round_trip(&mut bench.browser(), &connection, idp).await.assert(303);
    }
    assert_eq!(bench.repos.users.list(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn many_starts_do_not_fill_the_browser() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let mut sent = BTreeMap::new();
    for _ in 0..30 {
        sent = depart(&mut browser, &connection).await;
        bench.clock.advance(Duration::from_secs(1));
        let flows = browser.cookies.keys().filter(|name| name.contains("flow")).count();
        assert!(flows <= 8, "{flows}");
    }
    let code = idp.authorize(&sent);
    arrive(&mut browser, &connection, &[("code", &code), ("state", &sent["state"])]).await.assert(303);
}

#[tokio::test]
async fn a_tenants_connection_opens_only_that_tenant() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let tenant = || TenantId::new(&*bench.auth.clock, &*bench.auth.entropy);
    let (acme, globex) = (bench.tenant(tenant(), "acme").await, bench.tenant(tenant(), "globex").await);
    let owner = ConnectionOwner::Tenant(acme);
    let connection = bench.connection("corp", ConnectionKind::Oidc, owner, idp.endpoints()).await;
    let mut browser = bench.browser();
    assert!(!browser.get("/login").await.body.contains("/login/tenant.corp"), "not offered to everybody");
    round_trip(&mut browser, &connection, &idp).await.assert(303);
    let signed_in = bench.signed_in(&browser).await.unwrap();
    assert_eq!(signed_in.method, SignInMethod::Connection(connection.id));
    assert!(signed_in.opens(acme) && !signed_in.opens(globex));

    // A session made through a connection ends with it.
    bench.repos.connections.delete(connection.id, &bench.event()).await.unwrap();
    assert!(bench.signed_in(&browser).await.is_none());
}

#[tokio::test]
async fn providers_that_are_away_or_wrong_are_a_page() {
    let bench = Bench::new().await;
    let idp = Idp::start().await;
    let connection = oidc(&bench, &idp, "corp").await;
    let mut elsewhere = idp.endpoints();
    elsewhere.issuer = elsewhere.issuer.map(|issuer| format!("{issuer}/other"));
    let other = bench.connection("other", ConnectionKind::Oidc, PLATFORM, elsewhere).await;
    bench.browser().get(&format!("/login/{}", other.callback)).await.assert(502);
    bench.browser().get("/login/nowhere").await.assert(404);
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let code = idp.authorize(&sent);
    idp.stop().await;
    let answer = arrive(&mut browser, &connection, &[("code", &code), ("state", &sent["state"])]).await;
    assert!(answer.assert(502).body.contains("did not answer"), "{}", answer.body);
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn leaving_for_a_provider_is_limited_by_place() {
    let (bench, idp) = (Bench::new().await, Idp::start().await);
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    for _ in 0..60 {
        depart(&mut browser, &connection).await;
    }
    let answer = browser.get("/login/corp").await;
    assert_eq!(answer.assert(429).headers["retry-after"], "5");
    bench.clock.advance(Duration::from_secs(5));
    depart(&mut browser, &connection).await;
}
