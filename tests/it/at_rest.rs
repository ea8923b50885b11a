//! What the stores hold after a full flow, as an observer with clients of its own finds it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tests::{Browser, Client, Needles, Places, TestApp, World, observer};

const DEMO: &str = "/t/acme/demo/mcp";
const SECRET: &str = "a client secret at the provider";

/// Everything that is stored; the file with the master key is where that belongs.
async fn stored(app: &TestApp) -> Vec<observer::Stored> {
    let Some(places) = &app.places else {
        let mut files = observer::files(&app.data()).expect("the directory");
        files.retain(|(path, _)| !path.ends_with("master.key"));
        return files;
    };
    let mut stored = observer::rows(&places.database.url).await.expect("the database");
    let keys = observer::keys(&places.prefix).expect("the keys");
    assert!(!keys.is_empty(), "what is under way is in Redis");
    stored.extend(keys);
    stored
}

/// Consents and refuses, redeems and refreshes, and leaves a question open; everything that was secret on the way.
async fn flow(app: &TestApp, client: &Client<'_>, mel: &mut Browser<'_>) -> Vec<(&'static str, String)> {
    let page = client.ask(mel, DEMO).await;
    let txn = page.field("txn");
    let answer = mel.decide(&page, "allow").await.expect(303);
    let code = tests::code_in(answer.location()).expect("a code");
    let first = tests::Tokens::of(&client.redeem(&code, DEMO).await.expect(200));
    let second = tests::Tokens::of(&client.refresh(&first.refresh).await.expect(200));
    client.redeem("a-code-that-nobody-ever-had", DEMO).await.expect(400);
    let unused = client.code(mel, DEMO).await;
    let open = client.ask(mel, DEMO).await.field("txn");
    app.call(DEMO, Some(&second.access), "tools/list", serde_json::json!({})).await.expect(200);
    let mut secrets = vec![
        ("a code", code),
        ("a code that was not used", unused),
        ("a transaction", txn),
        ("an open transaction", open),
        ("a code that is none", "a-code-that-nobody-ever-had".to_owned()),
    ];
    for tokens in [first, second] {
        let signature = tokens.access.rsplit('.').next().expect("a JWT").to_owned();
        secrets.extend([("an access token", signature), ("a refresh token", tokens.refresh)]);
    }
    let cookies: Vec<_> = mel.cookie_values().map(str::to_owned).collect();
    assert!(!cookies.is_empty());
    secrets.extend(cookies.into_iter().map(|cookie| ("a cookie", cookie)));
    secrets
}

#[tokio::test]
async fn the_stores_hold_no_secret() {
    let app = TestApp::of(World::TWO_TENANTS, "").await;
    let secrets = tempfile::tempdir().expect("a directory");
    let file = secrets.path().join("provider.secret");
    fs::write(&file, SECRET).expect("a secret");
    let provider = format!(
        "[[connection]]\nid = \"google\"\nkind = \"google\"\nclient_id = \"portico\"\nclient_secret_file = \"{}\"\n",
        file.display()
    );
    app.apply(&provider, false).await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let mut needles = Needles::default();
    for (what, secret) in flow(&app, &client, &mut mel).await {
        needles.add(what, secret.as_bytes());
        let body = secret.rsplit('_').next().filter(|body| body.len() >= 12);
        needles.add(format!("{what} without what is in front"), body.unwrap_or(&secret).as_bytes());
    }
    needles.add("a client secret", SECRET.as_bytes());
    needles.add("a password", b"password of mel");
    // A key of the record that a session is stored as: readable only if values were not sealed.
    needles.add("a session's contents", b"[\"signed_in\",");
    let master = match &app.places {
        Some(_) => Places::MASTER.as_bytes().to_vec(),
        None => fs::read(app.data().join("master.key")).expect("the master key"),
    };
    needles.add("the master key", &master);
    for key in app.store.repos.signing.all().await.expect("the keys") {
        needles
            .add("a signing key", &STANDARD.decode(key.private.as_ref().expect("it opens").expose()).expect("base64"));
    }
    // All that it made of its randomness: data keys above all, which nothing ever shows. The client's id is none.
    for drawn in app.drawn.secrets() {
        let text = tests::hex(&drawn);
        if !client.id.ends_with(&text) {
            needles.add("something drawn", &drawn);
            needles.add("something drawn, as text", text.as_bytes());
        }
    }

    let stored = stored(&app).await;
    assert!(needles.count() > 60, "{} needles are too few", needles.count());
    let mut faults = Vec::new();
    for (place, bytes) in &stored {
        faults.extend(needles.found_in(bytes).into_iter().map(|what| format!("{what} is in {place}")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    // The search finds what is there.
    let mut known = Needles::default();
    known.add("an address", b"mel@example.com");
    assert!(stored.iter().any(|(_, bytes)| !known.found_in(bytes).is_empty()), "this looked in the wrong place");
}

#[tokio::test]
async fn the_data_directory_is_nobody_elses() {
    let app = TestApp::new().await;
    if app.places.is_some() {
        assert!(!app.data().exists(), "with servers there is no data directory");
        return;
    }
    let mode = |path: &std::path::Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&app.data()), 0o700);
    let files: Vec<_> =
        fs::read_dir(app.data()).expect("the directory").map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
