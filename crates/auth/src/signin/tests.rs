use std::time::Duration;

use model::Timestamp;
use storage::{
    Collection, Keep, KeyValue as _, Owner, Place, Stored as _,
    repo::{User, UserState},
};

use super::setup::{LINK, LinkHash};
use crate::{
    Offered, Setup,
    bench::{Bench, Jar, PASSWORD},
};

const ALICE: &str = "alice@example.com";

#[tokio::test]
async fn a_password_signs_in_and_out() {
    let bench = Bench::new().await;
    bench.alice().await;
    let mut browser = bench.browser();
    let answer = browser.sign_in(" Alice@Example.com", PASSWORD, "/t/acme?x=1&y=2").await;
    assert_eq!(answer.location(), "/t/acme?x=1&y=2");
    assert_eq!(browser.person().await.as_deref(), Some("Alice"));
    assert_eq!(browser.get("/login?return=/grants").await.location(), "/grants", "no need to sign in twice");
    browser.get("/login?again=1").await.assert(200);

    let old = browser.clone();
    let csrf = browser.get("/logout").await.field("csrf");
    assert_eq!(browser.post("/logout", &[("csrf", &csrf)]).await.location(), "/logout");
    assert_eq!(browser.session(), None);
    assert_eq!(browser.person().await, None);
    assert_eq!(old.clone().person().await, None, "the record is gone, not only the cookie");
}

#[tokio::test]
async fn cookies_fit_the_origin() {
    let bench = Bench::at("http://127.0.0.1:8080").await;
    bench.alice().await;
    let mut browser = bench.browser();
    browser.sign_in(ALICE, PASSWORD, "/").await;
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["portico"]);

    let bench = Bench::new().await;
    bench.alice().await;
    let mut browser = bench.browser();
    let page = browser.get("/login").await;
    for cookie in page.headers.get_all("set-cookie") {
        assert!(cookie.to_str().unwrap().contains("; Secure"), "{cookie:?}");
    }
    let answer = browser.sign_in(ALICE, PASSWORD, "/").await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").into_iter().map(|c| c.to_str().unwrap()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-portico=")).unwrap();
    assert!(session.contains("; Secure") && !session.contains("Domain"), "{session}");
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["__Host-portico"], "the visitor's cookie went");
}

#[tokio::test]
async fn every_failure_looks_the_same() {
    let bench = Bench::new().await;
    bench.alice().await;
    let blank = |body: &str, token: &str, typed: &str| body.replace(token, "TOKEN").replace(typed, "TYPED");
    let mut seen = Vec::new();
    for (email, password) in [(ALICE, "wrong password"), ("bob@example.com", PASSWORD), ("no address", PASSWORD)] {
        let mut browser = bench.browser();
        let answer = browser.sign_in(email, password, "/").await;
        answer.assert(403);
        assert_eq!(browser.session(), None);
        let token = answer.field("csrf");
        seen.push(blank(&answer.body, &token, email));
    }
    assert!(seen.iter().all(|page| *page == seen[0]), "{seen:#?}");
    assert!(!seen[0].contains("wrong password") && !seen[0].contains(PASSWORD));
}

#[tokio::test]
async fn guessing_is_slow_and_the_page_says_until_when() {
    let bench = Bench::new().await;
    bench.alice().await;
    let mut browser = bench.browser();
    for _ in 0..5 {
        browser.sign_in(ALICE, "wrong password", "/").await.assert(403);
    }
    let refused = browser.sign_in(ALICE, PASSWORD, "/").await;
    refused.assert(429);
    assert_eq!(refused.headers["retry-after"], "60");
    assert!(refused.body.contains("Try again in 60 seconds"), "{}", refused.body);
    // Elsewhere, and later, the right password works.
    let mut elsewhere = Jar { address: "198.51.100.7".parse().unwrap(), ..bench.browser() };
    elsewhere.sign_in(ALICE, PASSWORD, "/").await.assert(303);
    bench.clock.advance(Duration::from_mins(1));
    browser.sign_in(ALICE, PASSWORD, "/").await.assert(303);
}

#[tokio::test]
async fn forms_need_our_origin_and_this_browsers_token() {
    let bench = Bench::new().await;
    bench.alice().await;
    let mut browser = bench.browser();
    let csrf = browser.get("/login").await.field("csrf");
    let form = [("csrf", csrf.as_str()), ("email", ALICE), ("password", PASSWORD)];
    for origin in [None, Some("null"), Some("https://evil.example"), Some("http://portico.example")] {
        let mut other = Jar { origin: origin.map(str::to_owned), ..browser.clone() };
        other.post("/login", &form).await.assert(400);
    }
    bench.browser().post("/login", &form).await.assert(400);
    browser.post("/login", &[("email", ALICE), ("password", PASSWORD)]).await.assert(400);
    browser
        .post("/login", &[("csrf", &csrf), ("email", ALICE), ("email", "x"), ("password", PASSWORD)])
        .await
        .assert(400);
    bench.clock.advance(Duration::from_hours(12));
    browser.post("/login", &form).await.assert(400);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_after_sign_in() {
    let bench = Bench::new().await;
    bench.alice().await;
    for evil in ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\tb"] {
        let mut browser = bench.browser();
        assert_eq!(browser.sign_in(ALICE, PASSWORD, evil).await.location(), "/", "{evil:?}");
        // Nor if only the form's field is changed.
        let csrf = browser.get("/login?again=1").await.field("csrf");
        let form = [("csrf", csrf.as_str()), ("return", evil), ("email", ALICE), ("password", PASSWORD)];
        assert_eq!(browser.post("/login", &form).await.location(), "/", "{evil:?}");
    }
}

#[tokio::test]
async fn signing_in_makes_a_new_session_id() {
    let bench = Bench::new().await;
    bench.alice().await;
    // A value that an attacker has planted.
    let mut browser = bench.browser();
    browser.cookies.insert("__Host-portico".to_owned(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    browser.sign_in(ALICE, PASSWORD, "/").await.assert(303);
    let first = browser.session().unwrap().to_owned();
    assert_ne!(first, "AAAAAAAAAAAAAAAAAAAAAA");
    // And again, for somebody who is signed in already.
    let old = browser.clone();
    let csrf = browser.get("/login?again=1").await.field("csrf");
    browser.post("/login", &[("csrf", &csrf), ("email", ALICE), ("password", PASSWORD)]).await.assert(303);
    assert_ne!(browser.session(), Some(first.as_str()));
    assert_eq!(old.clone().person().await, None, "the session before is over");
}

#[tokio::test]
async fn blocked_people_are_signed_out() {
    let bench = Bench::new().await;
    let alice = bench.alice().await;
    let mut browser = bench.browser();
    browser.sign_in(ALICE, PASSWORD, "/").await.assert(303);
    let blocked = User { state: UserState::Blocked, ..alice.clone() };
    bench.repos.users.update(&blocked, &bench.event()).await.unwrap();
    assert_eq!(browser.clone().person().await, None);
    // The session is over for good, not only while they are blocked.
    bench.repos.users.update(&alice, &bench.event()).await.unwrap();
    assert_eq!(browser.person().await, None);
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old_one() {
    let bench = Bench::new().await;
    let alice = bench.alice().await;
    let mut browser = bench.browser();
    browser.sign_in(ALICE, PASSWORD, "/").await.assert(303);
    let account = bench.repos.users.local_account(ALICE).await.unwrap().unwrap();
    // The same password, hashed again: whoever sets one means it.
    let password = model::Secret::new(format!("{}x", account.password.expose()));
    let changed = storage::repo::LocalAccount { password, ..account.clone() };
    bench.repos.users.set_local_account(&changed, &bench.event()).await.unwrap();
    assert_eq!(browser.clone().person().await, None);
    bench.repos.users.set_local_account(&account, &bench.event()).await.unwrap();
    assert_eq!(browser.person().await, None, "for good");
    browser.sign_in(ALICE, PASSWORD, "/").await.assert(303);
    assert_eq!(browser.person().await.as_deref(), Some(alice.name.as_str()));
}

#[tokio::test]
async fn signing_out_needs_the_sessions_token() {
    let bench = Bench::new().await;
    bench.alice().await;
    let mut browser = bench.browser();
    browser.sign_in(ALICE, PASSWORD, "/").await.assert(303);
    browser.post("/logout", &[]).await.assert(400);
    browser.post("/logout", &[("csrf", "x")]).await.assert(400);
    browser.get("/logout").await.assert(200);
    assert!(browser.person().await.is_some());
}

fn token(url: &str) -> String {
    url.split_once("token=").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_setup_link_works_once() {
    let bench = Bench::new().await;
    let link = Setup::new(&bench.auth).issue().await.unwrap().unwrap();
    let url = link.url.expose().to_owned();
    assert!(url.starts_with("https://portico.example/setup?token=setup_"), "{url}");
    assert_eq!(link.expires, bench.clock_now() + Duration::from_mins(30));
    let path = format!("/setup?token={}", token(&url));
    let mut browser = bench.browser();
    for _ in 0..3 {
        browser.get(&path).await.assert(200);
    }
    let page = browser.get(&path).await;
    let (csrf, hidden) = (page.field("csrf"), page.field("token"));
    let form = |name: &'static str, email: &'static str, password: &'static str, tenant: &'static str| {
        let (csrf, hidden) = (csrf.clone(), hidden.clone());
        move |mut browser: Jar| async move {
            let fields = [
                ("csrf", csrf.as_str()),
                ("token", &hidden),
                ("name", name),
                ("email", email),
                ("password", password),
                ("tenant", tenant),
            ];
            let answer = browser.post("/setup", &fields).await;
            (answer, browser)
        }
    };
    let (faults, _) = form("Al<b>ice", "nonsense", "short", "Not A Slug")(browser.clone()).await;
    faults.assert(422);
    assert!(faults.body.contains("value=\"Al&#60;b&#62;ice\""), "what was typed is kept, escaped: {}", faults.body);
    assert!(!faults.body.contains("short"), "but not the password");
    assert!(faults.body.contains("only the password has to be entered again"), "and the page says so: {}", faults.body);
    let (faults, _) = form("Alice", ALICE, "short", "")(browser.clone()).await;
    assert!(faults.assert(422).body.contains("at least 10 characters"), "{}", faults.body);

    let (done, mut signed_in) = form("Alice", ALICE, PASSWORD, "home")(browser.clone()).await;
    assert_eq!(done.location(), "/");
    assert_eq!(signed_in.person().await.as_deref(), Some("Alice"));
    let tenant = bench.repos.tenants.by_slug(&"home".parse().unwrap()).await.unwrap();
    assert!(tenant.is_some());

    let (again, _) = form("Mallory", "mallory@example.com", PASSWORD, "")(browser.clone()).await;
    again.assert(404);
    browser.get(&path).await.assert(404);
    assert!(Setup::new(&bench.auth).issue().await.unwrap().is_none(), "there is no second set-up");
    bench.browser().sign_in("mallory@example.com", PASSWORD, "/").await.assert(403);
}

#[tokio::test]
async fn a_setup_without_a_tenant_needs_no_such_field() {
    let bench = Bench::new().await;
    let link = Setup::new(&bench.auth).issue().await.unwrap().unwrap();
    let token = token(link.url.expose());
    let mut browser = bench.browser();
    let csrf = browser.get(&format!("/setup?token={token}")).await.field("csrf");
    let form =
        [("csrf", csrf.as_str()), ("token", &token), ("name", "Alice"), ("email", ALICE), ("password", PASSWORD)];
    browser.post("/setup", &form).await.assert(303);
    assert!(bench.repos.tenants.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_several_replicas_one_offers_a_link() {
    let bench = Bench::new().await;
    let setup = Setup::new(&bench.auth);
    let (a, b) = tokio::join!(setup.offer(), setup.offer());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(
        matches!((&a, &b), (Offered::Link(_), Offered::Earlier) | (Offered::Earlier, Offered::Link(_))),
        "{a:?} {b:?}"
    );
    bench.clock.advance(Duration::from_mins(30));
    assert!(matches!(setup.offer().await.unwrap(), Offered::Link(_)), "the first one is too old");
}

#[tokio::test]
async fn links_that_are_wrong_old_or_replaced_look_the_same() {
    let bench = Bench::new().await;
    let setup = Setup::new(&bench.auth);
    let page = async |token: &str| {
        let page = bench.browser().get(&format!("/setup?token={token}")).await;
        page.assert(404);
        page.body
    };
    let never = page("setup_0").await;
    let first = token(setup.issue().await.unwrap().unwrap().url.expose());
    assert_eq!(page("setup_0").await, never);
    let second = token(setup.issue().await.unwrap().unwrap().url.expose());
    assert_eq!(page(&first).await, never, "a new link replaces the one before");
    assert_eq!(bench.browser().get("/setup").await.assert(404).body, never);
    let mut browser = bench.browser();
    let csrf = browser.get(&format!("/setup?token={second}")).await.assert(200).field("csrf");
    bench.clock.advance(Duration::from_mins(30));
    assert_eq!(page(&second).await, never);
    let form = [("csrf", csrf.as_str()), ("token", &second), ("name", "A"), ("email", ALICE), ("password", PASSWORD)];
    browser.post("/setup", &form).await.assert(404);
    assert!(!bench.repos.users.any().await.unwrap());
}

/// Where the newest link is, as a version that writes this format has it.
fn link_place(format: u8) -> Place<'static> {
    let collection = Collection { format, reads: &[], ..LinkHash::COLLECTION };
    Place { owner: Owner::Platform, collection, key: LINK }
}

#[tokio::test]
async fn a_link_of_the_version_before_works() {
    let bench = Bench::new().await;
    let hash = crate::session::hash_hex("setup_0");
    let until = Keep::Until(bench.clock_now() + Duration::from_mins(1));
    bench.kv.put(link_place(1), hash.as_bytes(), until).await.unwrap();
    bench.browser().get("/setup?token=setup_0").await.assert(200);
    bench.browser().get("/setup?token=setup_1").await.assert(404);
    bench.kv.put(link_place(3), hash.as_bytes(), until).await.unwrap();
    bench.browser().get("/setup?token=setup_0").await.assert(500);
}

#[tokio::test]
async fn neither_token_nor_session_id_is_stored() {
    let bench = Bench::new().await;
    let link = Setup::new(&bench.auth).issue().await.unwrap().unwrap();
    let token = token(link.url.expose());
    let stored = bench.kv.get(link_place(2)).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&stored.value).contains(&token));
}

#[tokio::test]
async fn sign_ins_are_audited_without_what_was_typed() {
    let bench = Bench::new().await;
    let alice = bench.alice().await;
    for (password, status) in [("wrong password", 403), (PASSWORD, 303)] {
        bench.clock.advance(Duration::from_secs(1));
        bench.browser().sign_in(ALICE, password, "/").await.assert(status);
    }
    let events = bench.repos.audit.newest(None, None, 2).await.unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.actor.to_string())).collect();
    assert_eq!(seen, [("session.started", alice.id.to_string()), ("sign-in.refused", "anonymous".to_owned())]);
    let text = format!("{events:?}");
    assert!(!text.contains("password") && !text.contains(ALICE), "{text}");
}

impl Bench {
    fn clock_now(&self) -> Timestamp {
        model::Clock::now(&*self.clock)
    }
}
