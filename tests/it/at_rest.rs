//! What lies in the data directory after a full flow, as bytes.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tests::{TestApp, World};

const DEMO: &str = "/t/acme/demo/mcp";
const SECRET: &str = "a client secret at the provider";

#[tokio::test]
async fn the_data_directory_holds_no_secret() {
    let app = TestApp::of(World::TWO_TENANTS, "").await;
    let secrets = tempfile::tempdir().expect("a directory");
    let file = secrets.path().join("provider.secret");
    fs::write(&file, SECRET).expect("a secret");
    let path = file.display();
    app.apply(
        &format!(
            "[[connection]]\nid = \"google\"\nkind = \"google\"\nclient_id = \"portico\"\n\
             client_secret_file = \"{path}\"\n"
        ),
        false,
    )
    .await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let page = client.ask(&mut mel, DEMO).await;
    let txn = page.field("txn");
    let answer = mel.decide(&page, "allow").await.expect(303);
    let code = url::Url::parse(answer.location()).expect("a URL");
    let code = code.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let first = tests::Tokens::of(&client.redeem(&code, DEMO).await.expect(200));
    let second = tests::Tokens::of(&client.refresh(&first.refresh).await.expect(200));
    let cookies: Vec<_> = mel.cookie_values().map(str::to_owned).collect();
    assert!(!cookies.is_empty());

    let mut needles = vec![
        ("a client secret", SECRET.to_owned()),
        ("a password", "password of mel".to_owned()),
        ("a code", code),
        ("a transaction", txn),
        // A key of the record that a session is stored as: readable only if values were not sealed.
        ("a session's contents", "[\"signed_in\",".to_owned()),
    ];
    for tokens in [first, second] {
        let signature = tokens.access.rsplit('.').next().expect("a JWT").to_owned();
        needles.extend([("an access token", signature), ("a refresh token", tokens.refresh)]);
    }
    needles.extend(cookies.into_iter().map(|cookie| ("a cookie", cookie)));

    let mut files = 0;
    for entry in fs::read_dir(app.data()).expect("the directory") {
        let path = entry.expect("an entry").path();
        let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        let bytes = fs::read(&path).expect("a file");
        files += usize::from(!bytes.is_empty());
        for (what, needle) in &needles {
            let parts = [needle.as_str(), needle.rsplit('_').next().unwrap_or(needle)];
            for part in parts.into_iter().filter(|part| part.len() >= 12) {
                let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
                assert!(!found, "{what} is in {}", path.display());
            }
        }
    }
    assert!(files >= 4, "the store is not where it is looked for");
    assert_eq!(fs::metadata(app.data()).expect("metadata").permissions().mode() & 0o777, 0o700);
    // The search finds what is there.
    let database = ["portico.db", "portico.db-wal"].map(|name| fs::read(app.data().join(name)).unwrap_or_default());
    assert!(database.iter().any(|bytes| bytes.windows(15).any(|window| window == b"mel@example.com")));
}
