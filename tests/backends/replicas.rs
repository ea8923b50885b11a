//! Several replicas of one version, and of two.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tests::{Browser, World};

use crate::{
    installation::{Installation, Replica, START},
    load::DEMO,
};

/// How many migrations a folder below `migrations` has.
fn migrations(folder: &str) -> i64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("migrations").join(folder);
    let files = fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry").path());
    i64::try_from(files.filter(|file| file.extension().is_some_and(|extension| extension == "sql")).count())
        .expect("few")
}

async fn count(database: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(database).await.expect("an answer")
}

/// How many migrations a replica says that it applied.
fn migrated(log: &str) -> Option<i64> {
    let line = log.lines().find(|line| line.contains("the database was migrated"))?;
    let (_, count) = line.split_once("migrations=")?;
    count.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_that_start_at_once_migrate_once() {
    let installation = Installation::shared().await.with("POSTGRES__MAX_CONNECTIONS", "3");
    let replicas: Vec<Replica> = (0..10).map(|_| installation.begin()).collect();
    for replica in &replicas {
        let took = replica.ready_within(START * 2).await;
        println!("ready after another {took:?}");
    }
    let url = &installation.database.as_ref().expect("its own").url;
    let mut database = PgConnection::connect(url).await.expect("a connection");
    let sql = "SELECT count(*) FROM _sqlx_migrations WHERE success";
    assert_eq!(count(&mut database, sql).await, migrations("postgres"));
    let sql = "SELECT count(*) FROM portico_keys._sqlx_migrations WHERE success";
    assert_eq!(count(&mut database, sql).await, migrations("postgres-keys"));
    // Data and keys have a lock each, so two of them may have had one; nothing was done twice.
    let applied: Vec<i64> = replicas.iter().filter_map(|replica| migrated(&replica.log())).collect();
    assert!(applied.len() <= 2, "{applied:?}");
    assert_eq!(applied.iter().sum::<i64>(), migrations("postgres") + migrations("postgres-keys"), "{applied:?}");

    // All of them are the same installation.
    installation.apply(World::TWO_TENANTS);
    let client = replicas[0].client("Assistant").await;
    let mut mel = replicas[1].signed_in("mel").await.at(&replicas[0].live);
    let tokens = client.tokens(&mut mel, DEMO).await;
    let cookies = mel.cookies().clone();
    for replica in &replicas {
        let mut browser = Browser::with_cookies(&replica.live, cookies.clone());
        browser.get("/grants").await.expect(200);
        replica.site().call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn an_older_binary_leaves_a_newer_schema_alone() {
    let installation = Installation::shared().await;
    installation.run(&["migrate"]);
    let url = &installation.database.as_ref().expect("its own").url;
    let mut database = PgConnection::connect(url).await.expect("a connection");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (29990101000000, 'of a later version', true, '\\x00', 0)";
    sqlx::query(newer).execute(&mut database).await.expect("a row");
    let before = count(&mut database, "SELECT count(*) FROM pg_class").await;
    let mut replica = installation.begin();
    assert!(replica.ended_within(Duration::from_secs(20)).await, "it runs on:\n{}", replica.log());
    assert!(replica.log().contains("newer"), "why it ended:\n{}", replica.log());
    let output = installation.output(&["migrate"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("newer"), "{said}");
    assert_eq!(count(&mut database, "SELECT count(*) FROM pg_class").await, before);
}

#[tokio::test]
async fn keys_that_are_missing_or_wrong_are_no_empty_store() {
    let installation = Installation::shared().await;
    installation.run(&["migrate"]);
    installation.apply(World::TWO_TENANTS);
    let another = installation.home().join("another-key");
    fs::write(&another, "00".repeat(32)).expect("a file");
    let file = installation.environment("KEYS__MASTER_FILE").to_owned();
    for (wrong, says) in [(another.display().to_string(), "master key"), ("/nonexistent/keys".to_owned(), "master")] {
        let installation = installation.again().with("KEYS__MASTER_FILE", &wrong);
        let mut replica = installation.begin();
        assert!(replica.ended_within(Duration::from_secs(20)).await, "it runs on:\n{}", replica.log());
        assert!(replica.log().contains(says), "why it ended:\n{}", replica.log());
    }
    // Nothing was made anew meanwhile.
    let replica = installation.again().with("KEYS__MASTER_FILE", &file).replica().await;
    replica.signed_in("mel").await;
}
