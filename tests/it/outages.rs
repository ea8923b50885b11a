//! What answers while a store is away, on every route: what needs the store is 503 and says when to try
//! again, what does not is as always, and nothing says "wrong" or "not there" when it cannot know.

mod ready;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::json;
use tests::{Answer, Browser, Client, Outage, REDIRECT, TestApp, World};

use self::ready::{ROWS, Ready};

const DEMO: &str = "/t/acme/demo/mcp";

/// What a row is prepared with.
struct Bench<'a> {
    app: &'a TestApp,
    outage: &'a Outage,
    client: Client<'a>,
    people: BTreeMap<&'static str, Browser<'a>>,
}

impl<'a> Bench<'a> {
    async fn new(app: &'a TestApp, outage: &'a Outage) -> Self {
        let mut people = BTreeMap::from([("nobody", app.browser())]);
        for name in ["owen", "otto"] {
            people.insert(name, app.signed_in(name).await);
        }
        Self { app, outage, client: app.client("Assistant").await, people }
    }

    fn cut(&self, away: &str) {
        if matches!(away, "postgres" | "both") {
            self.outage.postgres.cut();
        }
        if matches!(away, "redis" | "both") {
            self.outage.redis.cut();
        }
    }

    async fn heal(&self) {
        self.outage.postgres.heal();
        self.outage.redis.heal();
        // Limits are not what this is about.
        self.app.clock.advance(Duration::from_mins(1));
        self.app.built.follower.sync().await.expect("it is back");
        self.app.built.health.look().await;
    }

    /// One request while something is away. What is put off does what it always does when it is sent again.
    async fn during(&self, away: &str, row: &'static str, always: &Answer) -> u16 {
        let mut ready = Ready::of(self, row).await;
        self.cut(away);
        self.app.built.health.look().await;
        let answer = ready.send().await;
        check(row, away, &answer, always);
        self.heal().await;
        if answer.status == 503 {
            let again = ready.send().await;
            assert_eq!(again.status, always.status, "{row}, {away} was away: {again:?}");
        }
        answer.status.as_u16()
    }
}

/// Holds an answer against the one that is always given.
fn check(row: &str, away: &str, answer: &Answer, always: &Answer) {
    let said = format!("{row}, {away} away: {answer:?}");
    if answer.status == 503 {
        assert_eq!(answer.header("retry-after"), Some("5"), "{said}");
        let page = answer.body.contains("<h1>Not available right now</h1>");
        let code = answer.body.contains("\"temporarily_unavailable\"");
        let probe = answer.body.contains(": away for ");
        assert!(page || code || probe, "{said}");
        assert!(answer.header("location").is_none() && answer.header("www-authenticate").is_none(), "{said}");
    } else {
        assert_eq!(answer.status, always.status, "{said}");
    }
    for wrong in ["invalid_grant", "invalid_client", "invalid_token", "invalid_request"] {
        assert!(!answer.body.contains(wrong) || always.body.contains(wrong), "{said}");
    }
    let leaves = |answer: &Answer| answer.header("location").is_some_and(|location| location.starts_with(REDIRECT));
    assert!(!leaves(answer) || leaves(always), "{said}");
    // Nobody is signed out by an outage.
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().expect("ASCII");
        assert!(!cookie.starts_with("__Host-portico=;") || row.contains("/logout"), "{said}");
    }
}

#[tokio::test]
async fn every_route_while_a_store_is_away() {
    let (outage, empty) = (Outage::default(), Outage::default());
    let patient = "[tokens]\ncode = \"10m\"\n";
    let app = TestApp::over(World::TWO_TENANTS, patient, |store| outage.over(store)).await;
    let fresh = TestApp::over(World::EMPTY, "", |store| empty.over(store)).await;
    let bench = Bench::new(&app, &outage).await;
    let client = fresh.client("Assistant").await;
    let people = BTreeMap::from([("nobody", fresh.browser())]);
    let first = Bench { app: &fresh, outage: &empty, client, people };
    let mut table = format!("{:<68}{:>6}{:>10}{:>10}{:>10}", "what is away:", "none", "postgres", "redis", "both");
    for row in ROWS {
        let bench = if row.starts_with("first") { &first } else { &bench };
        let always = Ready::of(bench, row).await.send().await;
        bench.heal().await;
        write!(table, "\n{row:<68}{:>6}", always.status.as_u16()).expect("a string takes it");
        for away in ["postgres", "redis", "both"] {
            write!(table, "{:>10}", bench.during(away, row, &always).await).expect("a string takes it");
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn known_tokens_work_for_ten_minutes() {
    let outage = Outage::default();
    let app = TestApp::over(World::TWO_TENANTS, "", |store| outage.over(store)).await;
    let client = app.client("Assistant").await;
    let tokens = client.tokens(&mut app.signed_in("mel").await, DEMO).await;
    let call = async || {
        let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
        app.call(DEMO, Some(&tokens.access), "tools/call", params).await
    };
    let ready = async |query: &str| app.send(http::Method::GET, &format!("/readyz{query}"), &[], "").await;
    call().await.expect(200);
    outage.postgres.cut();
    app.built.follower.sync().await.expect_err("the feed is away");
    app.built.health.look().await;
    app.clock.advance(Duration::from_secs(599));
    call().await.expect(200);
    assert_eq!(ready("").await.expect(503).body, "postgres: away for 599 s\n");
    ready("?for=calls").await.expect(200);
    app.clock.advance(Duration::from_secs(2));
    let refused = call().await.expect(503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    // Whether there is such a token, or such a server, is not said any more.
    app.call(DEMO, None, "tools/list", json!({})).await.expect(503);
    assert_eq!(ready("").await.expect(503).body, "postgres: away for 601 s\nsnapshot: stale, 601 s old\n");
    assert_eq!(ready("?for=calls").await.expect(503).body, "snapshot: stale, 601 s old\n");
    app.send(http::Method::GET, "/healthz", &[], "").await.expect(200);
    client.refresh(&tokens.refresh).await.expect(503);
    // It comes back by itself: what runs beside the requests looks every second.
    outage.postgres.heal();
    app.built.follower.sync().await.expect("the feed is back");
    app.built.health.look().await;
    call().await.expect(200);
    ready("").await.expect(200);
    client.refresh(&tokens.refresh).await.expect(200);
}

#[tokio::test]
async fn without_redis_only_what_is_under_way_stops() {
    let outage = Outage::default();
    let app = TestApp::over(World::TWO_TENANTS, "", |store| outage.over(store)).await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    let page = client.ask(&mut mel, DEMO).await;
    outage.redis.cut();
    mel.decide(&page, "allow").await.expect(503);
    mel.get(&client.authorize_path(DEMO)).await.expect(503);
    mel.get("/grants").await.expect(200);
    client.refresh(&tokens.refresh).await.expect(200);
    app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
    outage.redis.heal();
    // The page that was open still counts.
    mel.decide(&page, "allow").await.expect(303);
}
