//! What goes on in a replica that was told to stop, until its last request has ended.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::installation::Installation;

/// A request of which the answer is not asked for before its second half is sent.
const HEAD: &str = "POST /oauth/token HTTP/1.1\r\nHost: portico.test\r\nX-Forwarded-For: 10.99.0.1\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 19\r\n\
                    Expect: 100-continue\r\n\r\n";

/// Until `true`; a failure after ten seconds.
async fn soon(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is().await {
        assert!(began.elapsed() < Duration::from_secs(10), "not after ten seconds: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_followed_until_the_last_request_has_ended() {
    let installation = Installation::shared().await;
    let mut replica = installation.replica().await;
    let url = &installation.database.as_ref().expect("its own").url;
    let mut database = PgConnection::connect(url).await.expect("a connection");
    let mut request = TcpStream::connect(replica.address()).await.expect("it listens");
    request.write_all(HEAD.as_bytes()).await.expect("it reads");
    let mut answer = [0; 25];
    request.read_exact(&mut answer).await.expect("it wants the rest");
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");

    replica.begin_stop();
    soon("it stops", async || replica.log().contains("stopping: no new connections")).await;
    // What such a request may do could be over at any moment: somebody is blocked now.
    let change = "INSERT INTO change (kind, subject) VALUES ('user', gen_random_uuid()) RETURNING sequence";
    let change: i64 = sqlx::query_scalar(change).fetch_one(&mut database).await.expect("a change");
    let taken_in = "SELECT EXISTS (SELECT 1 FROM replica WHERE position >= $1)";
    soon("the change is taken in, and the replica says so", async || {
        sqlx::query_scalar(taken_in).bind(change).fetch_one(&mut database).await.expect("an answer")
    })
    .await;

    request.write_all(b"grant_type=nonsense").await.expect("it still reads");
    let mut rest = String::new();
    request.read_to_string(&mut rest).await.expect("it answers");
    // Of no client that it knows.
    assert!(rest.starts_with("HTTP/1.1 401"), "{rest}");
    assert!(replica.ended_within(Duration::from_secs(10)).await, "it runs on:\n{}", replica.log());
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM replica").fetch_one(&mut database).await.expect("a count");
    assert_eq!(left, 0, "it said that it left");
}
