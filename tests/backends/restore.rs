//! Backup, destroy, restore, with the real binary: between Postgres and itself, and to SQLite and back.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, process::Output};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tests::{Browser, Client, Database, Prefix, Tokens, World, server};

use crate::{
    installation::{Installation, Replica, Stores},
    load::DEMO,
};

/// What somebody has in their hands.
struct Held {
    client: String,
    tokens: Tokens,
    cookies: BTreeMap<String, String>,
}

async fn hold(replica: &Replica) -> Held {
    let client = replica.client("Assistant").await;
    let mut mel = replica.signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    Held { client: client.id.clone(), tokens, cookies: mel.cookies().clone() }
}

/// That all of it works; what is held then.
async fn works(replica: &Replica, held: Held) -> Held {
    let site = replica.site();
    site.call(DEMO, Some(&held.tokens.access), "tools/list", json!({})).await.expect(200);
    let mut mel = Browser::with_cookies(site, held.cookies);
    mel.get("/t/acme").await.expect(200);
    let tokens = Tokens::of(&Client::known(site, &held.client).refresh(&held.tokens.refresh).await.expect(200));
    site.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
    Held { tokens, cookies: mel.cookies().clone(), ..held }
}

/// A value that belongs to nobody, as a broken disk leaves it.
async fn damage(database: &str) {
    let mut observer = PgConnection::connect(database).await.expect("Postgres");
    let insert = "INSERT INTO key_value (owner, collection, key, value, revision, format)
                  VALUES ('nobody', 'vault', 'lost', '\\x0102', 1, 1)";
    sqlx::query(insert).execute(&mut observer).await.expect("a row");
}

/// That a command has succeeded, and said that this row is damaged, and not what it holds.
fn says_what_is_damaged(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in ["Nobody can open what is sealed in 1 row", "key_value", "nobody vault lost"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Both files of a backup, made while it is served.
fn back_up(installation: &Installation, name: &str) -> [String; 2] {
    let files = ["data", "keys"].map(|kind| installation.home().join(format!("{name}.{kind}")).display().to_string());
    says_what_is_damaged(&installation.output(&["backup", "--data-file", &files[0], "--keys-file", &files[1]]));
    for file in &files {
        let mode = fs::metadata(file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let again = installation.output(&["backup", "--data-file", &files[0], "--keys-file", &files[1]]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("is there already"), "{said}");
    files
}

fn restore(installation: &Installation, [data, keys]: &[String; 2]) {
    let said = installation.output(&["restore", "--data-file", keys, "--keys-file", data]);
    assert!(!said.status.success(), "the files were exchanged");
    says_what_is_damaged(&installation.output(&["restore", "--data-file", data, "--keys-file", keys]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_comes_back_and_moves() {
    // Postgres, served while it is backed up.
    let first = Installation::shared().await;
    first.run(&["migrate"]);
    first.apply(World::TWO_TENANTS);
    let replica = first.replica().await;
    let held = hold(&replica).await;
    damage(first.environment("POSTGRES__URL")).await;
    let files = back_up(&first, "first");
    let served = first.output(&["restore", "--data-file", &files[0], "--keys-file", &files[1]]);
    let said = String::from_utf8_lossy(&served.stderr).into_owned();
    assert!(!served.status.success() && said.contains("is being served by 1"), "{said}");
    drop(replica);
    let master = first.environment("KEYS__MASTER_FILE").to_owned();

    // The first is lost; another Postgres takes its place.
    let (database, prefix) = (Database::create(&server("TEST_POSTGRES")).await, Prefix::on(&server("TEST_REDIS")));
    let stores = Stores::Servers { postgres: database.url.clone(), redis: Some(prefix.url.clone()) };
    let second = Installation::on(&stores).with("REDIS__PREFIX", &prefix.name);
    let foreign = second.output(&["restore", "--data-file", &files[0], "--keys-file", &files[1]]);
    let said = String::from_utf8_lossy(&foreign.stderr).into_owned();
    assert!(!foreign.status.success() && said.contains("the master key does not open"), "{said}");
    let second = second.with("KEYS__MASTER_FILE", &master);
    restore(&second, &files);
    let replica = second.replica().await;
    let held = works(&replica, held).await;
    let files = back_up(&second, "second");
    drop(replica);

    // From Postgres to SQLite.
    let third = Installation::on(&Stores::Sqlite).with("KEYS__MASTER_FILE", &master);
    restore(&third, &files);
    let replica = third.replica().await;
    let held = works(&replica, held).await;
    let files = back_up(&third, "third");
    let served = third.output(&["restore", "--data-file", &files[0], "--keys-file", &files[1]]);
    let said = String::from_utf8_lossy(&served.stderr).into_owned();
    assert!(!served.status.success() && said.contains("another portico serves"), "{said}");
    drop(replica);

    // And back.
    let (database, prefix) = (Database::create(&server("TEST_POSTGRES")).await, Prefix::on(&server("TEST_REDIS")));
    let stores = Stores::Servers { postgres: database.url.clone(), redis: Some(prefix.url.clone()) };
    let fourth = Installation::on(&stores).with("REDIS__PREFIX", &prefix.name).with("KEYS__MASTER_FILE", &master);
    restore(&fourth, &files);
    let replica = fourth.replica().await;
    let held = works(&replica, held).await;
    works(&replica, held).await;
}
