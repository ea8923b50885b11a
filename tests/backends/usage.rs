//! Calls of a server: counted by gateways, through Redis and Postgres, to the number on its page.

use std::time::Duration;

use serde_json::json;
use tests::{Browser, World};
use tokio::time::{Instant, sleep};

use crate::{
    installation::{Installation, Replica},
    load::DEMO,
};

/// For how long counts may be on their way: a gateway sends them every few seconds, and what a dead replica had taken
/// out of the queue is given to another after a minute.
const ON_THE_WAY: Duration = Duration::from_secs(90);

/// What a part of the page about usage says; nothing while there were no calls.
fn number(page: &str, name: &str) -> u64 {
    let label = format!("<dt>{name}</dt><dd>");
    let Some((_, rest)) = page.split_once(&label) else {
        assert!(page.contains("No calls yet."), "{page}");
        return 0;
    };
    rest.split_once('<').and_then(|(number, _)| number.parse().ok()).expect("a small number")
}

async fn calls(browser: &mut Browser<'_>) -> u64 {
    number(&browser.get("/t/acme/demo").await.expect(200).body, "Calls")
}

/// Waits until the page says so, and that it says no more.
async fn shows(browser: &mut Browser<'_>, expected: std::ops::RangeInclusive<u64>) -> u64 {
    let began = Instant::now();
    loop {
        let calls = calls(browser).await;
        assert!(calls <= *expected.end(), "{calls} of {expected:?}");
        if expected.contains(&calls) {
            return calls;
        }
        assert!(began.elapsed() < ON_THE_WAY, "{calls} of {expected:?} after {:?}", began.elapsed());
        sleep(Duration::from_millis(200)).await;
    }
}

async fn call(replica: &Replica, token: &str, times: u64) {
    for _ in 0..times {
        replica.site().call(DEMO, Some(token), "tools/list", json!({})).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_on_the_page_once_whichever_replica_dies() {
    let installation = Installation::shared().await;
    installation.run(&["migrate"]);
    installation.apply(World::TWO_TENANTS);
    let (mut first, second) = (installation.replica().await, installation.replica().await);
    let client = second.client("Assistant").await;
    let mut mel = second.signed_in("mel").await;
    let token = client.tokens(&mut mel, DEMO).await.access;
    assert_eq!(calls(&mut mel).await, 0);
    call(&first, &token, 7).await;
    call(&second, &token, 5).await;
    shows(&mut mel, 12..=12).await;

    // What it had not sent is lost with it; what it had sent, or was about to add up, is not, and counts once.
    call(&first, &token, 9).await;
    sleep(Duration::from_millis(500)).await;
    first.kill9();
    call(&second, &token, 4).await;
    let before = shows(&mut mel, 16..=25).await;
    first.restart();
    first.ready_within(crate::installation::START).await;
    call(&first, &token, 3).await;
    call(&second, &token, 2).await;
    // Those of the nine that were on their way come too, if they have not come yet.
    let after = shows(&mut mel, before + 5..=30).await;
    sleep(Duration::from_secs(8)).await;
    let last = calls(&mut mel).await;
    println!("{before} calls after the kill, {after} and then {last} of at most 30 in the end");
    assert!((before + 5..=30).contains(&last), "{last}");
}
