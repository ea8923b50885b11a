//! Pair platforms in one process over one Postgres and one Redis, without stickiness: what one of them wrote, the other
//! knows.

use std::{sync::Arc, time::Duration};

use auth::Offered;
use http::Method;
use serde_json::json;
use tests::{Places, TestApp, Tokens, World};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::load::DEMO;

/// How soon a replica knows what another one wrote.
const LAG: Duration = Duration::from_secs(1);

/// Pair replicas that follow the feed.
struct Pair {
    one: TestApp,
    two: TestApp,
    _following: DropGuard,
}

impl Pair {
    async fn of(world: World) -> Self {
        let one = TestApp::at(Some(Places::create().await), world, "", |store| store).await;
        let two = one.replica().await;
        let stop = CancellationToken::new();
        for app in [&one, &two] {
            let (follower, stop) = (Arc::clone(&app.built.follower), stop.clone());
            tokio::spawn(async move { follower.run(stop).await });
        }
        Self { one, two, _following: stop.drop_guard() }
    }
}

/// The status of a call with a token.
async fn call(app: &TestApp, token: &str) -> u16 {
    app.call(DEMO, Some(token), "tools/list", json!({})).await.status.as_u16()
}

/// Waits until `app` answers calls so.
async fn until(app: &TestApp, token: &str, status: u16) -> Duration {
    let start = Instant::now();
    while call(app, token).await != status {
        assert!(start.elapsed() < LAG, "still not {status} after {LAG:?}");
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_a_sign_in_is_on_another_replica() {
    let Pair { one, two, .. } = &Pair::of(World::TWO_TENANTS).await;
    let client = one.client("Assistant").await;
    let mut mel = one.browser();
    // The form of one, sent to the other: its CSRF token is good there, and the session is known to both.
    let page = mel.get("/login").await.expect(200);
    let mut mel = mel.at(two);
    mel.submit_sign_in(&page, "mel").await.expect(303);
    let mut mel = mel.at(one);
    let page = client.ask(&mut mel, DEMO).await;
    let mut mel = mel.at(two);
    let answer = mel.decide(&page, "allow").await.expect(303);
    let code = tests::code_in(answer.location()).expect("a code");
    let tokens = Tokens::of(&client.redeem(&code, DEMO).await.expect(200));
    let client = client.at(two);
    let tokens = Tokens::of(&client.refresh(&tokens.refresh).await.expect(200));
    for app in [one, two] {
        assert_eq!(call(app, &tokens.access).await, 200);
    }
    // Signed out there is signed out here.
    let csrf = mel.get("/logout").await.field("csrf");
    let kept = mel.clone();
    mel.post("/logout", &[("csrf", &csrf)]).await.expect(303);
    kept.at(one).get("/grants").await.expect(303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_on_one_replica_ends_on_the_other() {
    let Pair { one, two, .. } = &Pair::of(World::TWO_TENANTS).await;
    let client = one.client("Assistant").await;
    let mut mel = one.signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    assert_eq!((call(one, &tokens.access).await, call(two, &tokens.access).await), (200, 200));
    let grants = mel.get("/grants").await.expect(200).body;
    let (_, rest) = grants.split_once("href=\"/grants/").expect("a grant");
    let path = format!("/grants/{}", rest.split('"').next().expect("attributes end"));
    let csrf = mel.get(&path).await.field("csrf");
    mel.post(&path, &[("csrf", &csrf)]).await.expect(303);
    assert_eq!(call(one, &tokens.access).await, 401, "where it was revoked it is over at once");
    println!("over there after {:?}", until(two, &tokens.access, 401).await);
    client.at(two).refresh(&tokens.refresh).await.expect(400);

    // Membership, and a server that goes.
    let client = one.client("Assistant").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    until(two, &tokens.access, 200).await;
    let viewer = World::TWO_TENANTS.0.replace("\"mel\", role = \"member\"", "\"mel\", role = \"viewer\"");
    two.apply(&viewer, false).await;
    until(one, &tokens.access, 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_come_with_a_code_one_gets_tokens() {
    let Pair { one, two, .. } = &Pair::of(World::TWO_TENANTS).await;
    let (here, mut mel) = (one.client("Assistant").await, one.signed_in("mel").await);
    let there = here.clone().at(two);
    for _ in 0..10 {
        let code = here.code(&mut mel, DEMO).await;
        let (a, b) = tokio::join!(here.redeem(&code, DEMO), there.redeem(&code, DEMO));
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{a:?} {b:?}");
        one.clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_begin_are_one_installation() {
    let Pair { one, two, .. } = &Pair::of(World::EMPTY).await;
    let keys = async |app: &TestApp| app.send(Method::GET, "/oauth/jwks.json", &[], "").await.expect(200).body;
    assert_eq!(keys(one).await, keys(two).await);
    let (a, b) = tokio::join!(one.built.setup.offer(), two.built.setup.offer());
    let (a, b) = (a.expect("the store"), b.expect("the store"));
    let link = match (a, b) {
        (Offered::Link(link), Offered::Earlier) | (Offered::Earlier, Offered::Link(link)) => link,
        other => panic!("one of them has a link: {other:?}"),
    };
    for app in [one, two] {
        app.browser().get(link.url.expose()).await.expect(200);
    }
}
