//! Keys change while requests run.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tests::{Browser, Client, Site, Tokens, World};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    installation::{Installation, Replica},
    load::{Balanced, DEMO},
};

/// Requests per second, of all kinds together.
const RATE: u64 = 50;

/// What each of the requests is about.
struct Visitor {
    tokens: Tokens,
    client: String,
    cookies: std::collections::BTreeMap<String, String>,
}

/// Sends requests at a steady rate until it is told to stop; those that failed.
async fn requests(site: Arc<Balanced>, visitor: Arc<Visitor>, stop: Arc<AtomicBool>) -> (u32, Vec<String>) {
    let mut clock = interval(Duration::from_millis(1000 / RATE));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut running, sent) = (JoinSet::new(), AtomicU32::new(0));
    while !stop.load(Ordering::Relaxed) {
        clock.tick().await;
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let (site, visitor) = (Arc::clone(&site), Arc::clone(&visitor));
        running.spawn(async move { one(&site, &visitor, number).await });
    }
    let failed = running.join_all().await.into_iter().flatten().collect();
    (sent.load(Ordering::Relaxed), failed)
}

/// Why it failed, if it did.
async fn one(site: &Balanced, visitor: &Visitor, number: u32) -> Option<String> {
    let (what, wanted, answer) = match number % 5 {
        // Reads a sealed session.
        0 => {
            let mut browser = Browser::with_cookies(site, visitor.cookies.clone());
            ("a page", 200, browser.try_send(http::Method::GET, "/grants", &[], "").await)
        }
        // Writes a sealed transaction.
        1 => {
            let mut browser = Browser::with_cookies(site, visitor.cookies.clone());
            let path = Client::known(site, &visitor.client).authorize_path(DEMO);
            ("a question", 303, browser.try_send(http::Method::GET, &path, &[], "").await)
        }
        2 if number % 50 == 2 => ("a sign-in", 303, Browser::new(site).try_sign_in("mel").await),
        _ => {
            let access = Some(&*visitor.tokens.access);
            ("a call", 200, (site as &dyn Site).try_call(DEMO, access, "tools/list", json!({})).await)
        }
    };
    match answer {
        Ok(answer) if answer.status == wanted || (what == "a question" && answer.status == 200) => None,
        Ok(answer) => Some(format!("{what}: {}, request {:?}", answer.status, answer.header("x-request-id"))),
        Err(error) => Some(format!("{what}: {error:#}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_requests() {
    let installation = Arc::new(Installation::shared().await);
    let replicas = [installation.replica().await, installation.replica().await];
    installation.apply(World::TWO_TENANTS);
    let client = replicas[0].client("Assistant").await;
    let mut mel = replicas[0].signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    let visitor = Visitor { tokens, client: client.id.clone(), cookies: mel.cookies().clone() };
    let visitor = Arc::new(visitor);
    knows(&replicas, &visitor.tokens.access).await;

    let balanced = Arc::new(Balanced::new(replicas.iter().map(|replica| replica.live.clone())));
    let stop = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn(requests(balanced, Arc::clone(&visitor), Arc::clone(&stop)));
    let start = Instant::now();
    for round in 0..2 {
        for arguments in [&["keys", "rotate", "--master", "new"][..], &["keys", "reseal"]] {
            sleep(Duration::from_secs(1)).await;
            let at = Arc::clone(&installation);
            let said = spawn_blocking(move || at.run(arguments)).await.expect("it ends");
            println!("{round}. portico {}: {said}", arguments.join(" "));
            // A new key seals from its sixth second on.
            sleep(Duration::from_secs(6)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (sent, failed) = running.await.expect("it ends");
    println!("{sent} requests in {:?}, {} failed", start.elapsed(), failed.len());
    let complaints: String = replicas.iter().map(Replica::complaints).collect();
    assert!(failed.is_empty(), "{} of {sent} failed:\n{}\n{complaints}", failed.len(), failed.join("\n"));
    let expected = start.elapsed().as_secs() * RATE;
    assert!(u64::from(sent) * 10 > expected * 8, "{sent} requests are too few for {expected}");

    // The old master key can go; a replica that never saw it opens everything.
    let file = installation.environment("KEYS__MASTER_FILE").to_owned();
    let keys = fs::read_to_string(&file).expect("the key file");
    let keys: Vec<_> = keys.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    assert_eq!(keys.len(), 3, "each rotation adds a key");
    fs::write(&file, keys[2]).expect("the key file");
    let fresh = installation.replica().await;
    Browser::with_cookies(&fresh.live, visitor.cookies.clone()).get("/grants").await.expect(200);
    Client::known(&fresh.live, &visitor.client).refresh(&visitor.tokens.refresh).await.expect(200);
    fresh.signed_in("mel").await;
}

/// Waits until every replica takes a token.
async fn knows(replicas: &[Replica], token: &str) {
    let start = Instant::now();
    for replica in replicas {
        while replica.site().call(DEMO, Some(token), "tools/list", json!({})).await.status != 200 {
            assert!(start.elapsed() < Duration::from_secs(5), "a token is not taken:\n{}", replica.log());
            sleep(Duration::from_millis(50)).await;
        }
    }
}
