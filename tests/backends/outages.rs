//! A backend that is away, in every way in which one can be: two replicas say so, answer what they can from memory, put
//! clients off instead of turning them down, and go on when it is back.

use std::time::Duration;

use http::Method;
use serde_json::json;
use services::Cut;
use tests::{Answer, Browser, Client, Database, Prefix, Tokens, World, server};
use tokio::time::{Instant, sleep};

use crate::{
    installation::{Installation, Replica, Stores},
    load::DEMO,
};

/// How soon a replica notices that something is away.
const NOTICE: Duration = Duration::from_secs(15);
/// How soon it is ready again after that is back.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long a request that needs what is away may take: a statement's deadline is five seconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long one that needs nothing may take.
const AT_ONCE: Duration = Duration::from_secs(4);

/// How a backend goes away, in words and in deed.
type Way = (&'static str, fn(&Cut));

/// Every one.
const WAYS: [Way; 3] = [("refuses", Cut::refuse), ("is frozen", Cut::freeze), ("resets", Cut::reset)];

/// An installation whose connections can be cut, with two replicas and somebody who is at work.
struct Installed {
    postgres: Cut,
    redis: Cut,
    replicas: [Replica; 2],
    _installation: Installation,
    _own: (Database, Prefix),
}

impl Installed {
    async fn start() -> Self {
        let (on, cache) = (server("TEST_POSTGRES"), server("TEST_REDIS"));
        let own = (Database::create(&on).await, Prefix::on(&cache));
        let (postgres, redis) = (Cut::before(port(&on)).expect("a cut"), Cut::before(port(&cache)).expect("a cut"));
        let stores = Stores::Servers { postgres: postgres.url(&own.0.url), redis: Some(redis.url(&own.1.url)) };
        let installation = Installation::on(&stores).with("REDIS__PREFIX", &own.1.name);
        let replicas = [installation.replica().await, installation.replica().await];
        installation.apply(World::TWO_TENANTS);
        Self { postgres, redis, replicas, _installation: installation, _own: own }
    }
}

fn port(url: &str) -> u16 {
    url::Url::parse(url).ok().and_then(|url| url.port()).expect("a URL with a port")
}

/// Sends and takes the time.
async fn within<T>(patience: Duration, what: &str, request: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let answer = request.await;
    assert!(start.elapsed() <= patience, "{what} took {:?}", start.elapsed());
    answer
}

/// The answer that tells a client to come again, as OAuth says it.
#[track_caller]
fn put_off(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.body);
    assert_eq!(answer.json()["error"], "temporarily_unavailable", "{what}: {}", answer.body);
    assert!(answer.header("retry-after").is_some(), "{what}: {:?}", answer.headers);
}

/// A tool is called with a known token, and answers at once.
async fn calls(replica: &Replica, token: &str) {
    let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
    let answer = within(AT_ONCE, "a call", replica.site().call(DEMO, Some(token), "tools/call", params)).await;
    assert!(answer.expect(200).body.contains("\"5\""));
}

/// Waits until this replica knows a token's grant and person.
async fn knows(replica: &Replica, token: &str) {
    let start = Instant::now();
    while replica.site().call(DEMO, Some(token), "tools/list", json!({})).await.status != 200 {
        assert!(start.elapsed() < RECOVERY, "a token is not taken:\n{}", replica.log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_go_and_come_back() {
    let mut site = Installed::start().await;
    for (way, cut) in WAYS {
        println!("postgres {way}");
        let (tokens, id, cookies) = prepare(&site.replicas[0]).await;
        knows(&site.replicas[1], &tokens.access).await;
        cut(&site.postgres);
        for replica in &site.replicas {
            let answer = replica.unready_within(NOTICE).await;
            assert!(answer.body.to_lowercase().contains("postgres"), "which one is away? {}", answer.body);
            let client = Client::known(&replica.live, &id);
            calls(replica, &tokens.access).await;
            put_off("a refresh", &within(DEADLINE, "a refresh", client.refresh(&tokens.refresh)).await);
            put_off("a code", &within(DEADLINE, "a code", client.redeem("a-code-that-may-be-known", DEMO)).await);
            let metadata =
                json!({ "redirect_uris": [tests::REDIRECT], "token_endpoint_auth_method": "none" }).to_string();
            let headers = [("content-type", "application/json")];
            let registered = replica.site().send(Method::POST, "/oauth/register", &headers, &metadata);
            put_off("a registration", &within(DEADLINE, "a registration", registered).await);
            let mut browser = Browser::with_cookies(&replica.live, cookies.clone());
            for path in ["/grants", "/t/acme", &client.authorize_path(DEMO)] {
                let page = within(DEADLINE, path, browser.get(path)).await;
                assert_eq!(page.status, 503, "{path}: {}", page.body);
                assert!(page.header("retry-after").is_some(), "{path}: {:?}", page.headers);
            }
            assert_eq!(replica.site().send(Method::GET, "/healthz", &[], "").await.status, 200);
        }
        site.postgres.heal();
        recovered(&mut site.replicas, &tokens, &id, cookies).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_go_and_come_back() {
    let mut site = Installed::start().await;
    for (way, cut) in WAYS {
        println!("redis {way}");
        let (tokens, id, cookies) = prepare(&site.replicas[0]).await;
        knows(&site.replicas[1], &tokens.access).await;
        cut(&site.redis);
        for replica in &site.replicas {
            let answer = replica.unready_within(NOTICE).await;
            assert!(answer.body.to_lowercase().contains("redis"), "which one is away? {}", answer.body);
            let client = Client::known(&replica.live, &id);
            calls(replica, &tokens.access).await;
            // What needs only the other one may go on; nobody is turned down.
            let answer = within(DEADLINE, "a refresh", client.refresh(&tokens.refresh)).await;
            assert!([200, 503].contains(&answer.status.as_u16()), "a refresh: {} {}", answer.status, answer.body);
            let mut browser = Browser::with_cookies(&replica.live, cookies.clone());
            let path = client.authorize_path(DEMO);
            let page = within(DEADLINE, "a question", browser.get(&path)).await;
            assert_eq!(page.status, 503, "{}", page.body);
        }
        site.redis.heal();
        recovered(&mut site.replicas, &tokens, &id, cookies).await;
    }
}

type Cookies = std::collections::BTreeMap<String, String>;

/// Somebody signs in and lets a client in.
async fn prepare(replica: &Replica) -> (Tokens, String, Cookies) {
    let client = replica.client("Assistant").await;
    let mut mel = replica.signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    (tokens, client.id.clone(), mel.cookies().clone())
}

/// All replicas are ready again, the same processes; what was put off works now.
async fn recovered(replicas: &mut [Replica; 2], tokens: &Tokens, id: &str, cookies: Cookies) {
    for replica in replicas {
        let took = replica.ready_within(RECOVERY).await;
        println!("  ready again after {took:?}");
        assert!(replica.ended_within(Duration::ZERO).await.eq(&false), "it ended:\n{}", replica.log());
        let client = Client::known(&replica.live, id);
        client.refresh(&tokens.refresh).await.expect(200);
        let mut browser = Browser::with_cookies(&replica.live, cookies.clone());
        browser.get("/grants").await.expect(200);
        client.code(&mut browser, DEMO).await;
    }
}
