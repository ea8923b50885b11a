//! Backup, destroy, restore: grants, sessions and tokens still work.

use std::{fs, sync::Arc, time::Duration};

use model::{Clock, OsEntropy};
use serde_json::json;
use server::{
    backup::{self, Source, Target},
    config::Config,
};
use storage::archive::{ArchiveError, Grants, KeysFile, Restored};
use tempfile::TempDir;
use tests::{Client, TestApp, Tokens};

const DEMO: &str = "/t/acme/demo/mcp";

/// Both files of a backup, and the master key, which an operator has elsewhere.
struct Kept {
    data: Vec<u8>,
    keys: Vec<u8>,
    master: Vec<u8>,
}

async fn back_up(app: &TestApp) -> Kept {
    let clock = Arc::clone(&app.clock) as Arc<dyn Clock>;
    let config = app.config();
    let source = Source::open(&config, &clock, &app.entropy).await.expect("an installation");
    let (mut data, mut keys) = (Vec::new(), Vec::new());
    let done = backup::backup(&source, &*clock, &*app.entropy, &|_| {}, &mut data, &mut keys).await.expect("a backup");
    assert!(done.rows > 20 && done.damaged == 0, "{done:?}");
    source.close().await;
    let master = fs::read(app.data().join("master.key")).expect("a master key");
    Kept { data, keys, master }
}

impl Kept {
    /// An empty place with the master key in it.
    fn place(&self) -> TempDir {
        let home = tempfile::tempdir().expect("a directory");
        fs::create_dir(home.path().join("data")).expect("a data directory");
        fs::write(home.path().join("data/master.key"), &self.master).expect("a master key");
        home
    }

    async fn restore(
        &self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        grants: Option<Grants>,
    ) -> anyhow::Result<Restored> {
        let keys = KeysFile::read(&mut self.keys.as_slice()).await?;
        let target = Target::open(config).await?;
        let (clock, mut data) = (Arc::clone(clock), self.data.as_slice());
        let restored = backup::restore(&target, clock, Arc::new(OsEntropy), grants, &|_| {}, &mut data, keys).await;
        target.close().await;
        Ok(restored?)
    }
}

/// A person with a browser and a client with tokens, before.
struct Before {
    client: String,
    tokens: Tokens,
    cookies: std::collections::BTreeMap<String, String>,
}

async fn use_it(app: &TestApp) -> Before {
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let tokens = client.tokens(&mut mel, DEMO).await;
    Before { client: client.id.clone(), tokens, cookies: mel.cookies().clone() }
}

async fn works(app: &TestApp, before: &Before) -> bool {
    let call = async |token: &str| app.call(DEMO, Some(token), "tools/list", json!({})).await.status == 200;
    let mut mel = tests::Browser::with_cookies(app, before.cookies.clone());
    let signed_in = mel.get("/t/acme").await.status == 200;
    let access = call(&before.tokens.access).await;
    let refreshed = Client::known(app, &before.client).refresh(&before.tokens.refresh).await;
    let refresh = refreshed.status == 200 && call(&Tokens::of(&refreshed).access).await;
    assert!(signed_in == access && access == refresh, "{signed_in} {access} {refresh}");
    signed_in
}

#[tokio::test]
async fn grants_sessions_and_tokens_survive() {
    let app = TestApp::new().await;
    let before = use_it(&app).await;
    let kept = back_up(&app).await;
    let mut secrets = vec!["password of mel", &before.tokens.access, &before.tokens.refresh];
    secrets.extend(before.cookies.values().map(String::as_str));
    for file in [&kept.data, &kept.keys] {
        let text = std::str::from_utf8(file).expect("it is text");
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "a secret is in a backup");
    }
    let clock = Arc::clone(&app.clock);
    drop(app);
    let home = kept.place();
    let config = TestApp::config_of(home.path(), "");
    kept.restore(&config, &(clock.clone() as _), None).await.expect("it restores");
    let app = TestApp::there(home, clock, "").await;
    assert!(works(&app, &before).await);
    // What is new is new, and found by those who look for changes.
    let after = use_it(&app).await;
    assert!(works(&app, &after).await);
    let audit = app.store.repos.audit.newest(None, None, 100).await.expect("a log");
    assert!(audit.iter().any(|event| event.action == "backup.restored"), "{audit:?}");
}

#[tokio::test]
async fn what_an_old_backup_brings_back_is_decided_over() {
    let app = TestApp::new().await;
    let before = use_it(&app).await;
    let kept = back_up(&app).await;
    let clock = Arc::clone(&app.clock);
    clock.advance(Duration::from_mins(59));
    app.built.follower.sync().await.expect("the feed");
    // Revoked after the backup: by whom is not known to it.
    let refreshed = Tokens::of(&Client::known(&app, &before.client).refresh(&before.tokens.refresh).await.expect(200));
    assert_ne!(refreshed.refresh, before.tokens.refresh);
    drop(app);

    let now: Arc<dyn Clock> = clock.clone();
    let home = kept.place();
    let config = TestApp::config_of(home.path(), "");
    kept.restore(&config, &now, Some(Grants::End)).await.expect("it restores");
    let app = TestApp::there(home, Arc::clone(&clock), "").await;
    assert!(!works(&app, &before).await, "everything ended");
    Client::known(&app, &before.client).refresh(&refreshed.refresh).await.expect(400);
    let again = use_it(&app).await;
    assert!(works(&app, &again).await, "people sign in and allow again");

    clock.advance(Duration::from_mins(2));
    let home = kept.place();
    let config = TestApp::config_of(home.path(), "");
    let undecided = kept.restore(&config, &now, None).await.expect_err("an old backup");
    assert!(matches!(undecided.downcast_ref(), Some(ArchiveError::Undecided(_))), "{undecided:?}");
    kept.restore(&config, &now, Some(Grants::Keep)).await.expect("it restores after a refusal");
}

#[tokio::test]
async fn an_installation_that_serves_or_has_no_master_key_is_no_target() {
    let app = TestApp::new().await;
    let kept = back_up(&app).await;
    let clock: Arc<dyn Clock> = Arc::clone(&app.clock) as _;
    let refused = kept.restore(&app.config(), &clock, None).await.expect_err("it is not empty");
    assert!(refused.to_string().contains("not empty"), "{refused}");

    let home = tempfile::tempdir().expect("a directory");
    let config = TestApp::config_of(home.path(), "");
    let refused = kept.restore(&config, &clock, None).await.expect_err("no master key");
    assert!(refused.to_string().contains("Put the master key"), "{refused}");
    assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 0, "nothing was made");

    let home = kept.place();
    let dir = server::DataDir::open(&home.path().join("data")).expect("a data directory");
    let lock = dir.lock().expect("nobody else");
    let config = TestApp::config_of(home.path(), "");
    let refused = kept.restore(&config, &clock, None).await.expect_err("it is served");
    assert!(refused.to_string().contains("another portico serves"), "{refused}");
    drop(lock);
    kept.restore(&config, &clock, None).await.expect("it restores");
}

#[tokio::test]
async fn only_an_installation_is_backed_up() {
    let home = tempfile::tempdir().expect("a directory");
    let clock: Arc<dyn Clock> = Arc::new(model::SystemClock);
    let entropy: Arc<dyn model::Entropy> = Arc::new(OsEntropy);
    let config = TestApp::config_of(home.path(), "");
    let none = Source::open(&config, &clock, &entropy).await.expect_err("nothing there");
    assert!(none.to_string().contains("there is no installation"), "{none}");
    assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 0, "nothing was made");

    let app = TestApp::new().await;
    app.store.close().await;
    for name in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        let _ = fs::remove_file(app.data().join(name));
    }
    let gone = Source::open(&app.config(), &clock, &entropy).await.expect_err("its keys are gone");
    assert!(gone.to_string().contains("wrapped keys of this installation are gone"), "{gone}");
}
