//! Redirect URIs and what is sent to them: 14 to 16, 46 to 48, 68.

use std::{fs, path::Path};

use http::Method;
use tests::{Client, ORIGIN, REDIRECT, TestApp};

const DEMO: &str = "/t/acme/demo/mcp";

fn with_state(client: &Client<'_>, state: &str) -> String {
    let path = client.authorize_path(DEMO);
    let (path, query) = path.split_once('?').expect("a query");
    let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(own, _)| own != "state");
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair("state", state).finish();
    format!("{path}?{query}")
}

/// Threat 48: a client's `state` comes back exactly and adds nothing: no parameter, no header, no fragment.
#[tokio::test]
async fn t48_state_comes_back_and_breaks_nothing() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    for state in [
        "a&code=evil&iss=https://evil.example",
        "a\r\nSet-Cookie: a=b\r\n\r\n<html>",
        "#/code=evil",
        "ü ☃ %20+%2B",
        "\"'><\\",
        "?",
    ] {
        for decision in ["allow", "deny"] {
            let page = mel.follow(&with_state(&client, state)).await.expect(200);
            let answer = mel.decide(&page, decision).await.expect(303);
            let location = answer.location();
            let (base, query) = location.split_once('?').expect("a query");
            assert_eq!(base, REDIRECT);
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()) && !location.contains('#'), "{location}");
            let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let all =
                |name: &str| pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value).collect::<Vec<_>>();
            assert_eq!(all("state"), [state], "{location}");
            assert_eq!(all("iss"), [ORIGIN], "{location}");
            assert_eq!(all("code").len(), usize::from(decision == "allow"), "{location}");
            assert!(
                !all("code").contains(&"evil") && answer.headers.get_all("set-cookie").iter().all(|set| set != "a=b")
            );
        }
    }
}

/// Threat 68: redirects are 303 and 302, which drop the form; none is 307 or 308, which would send it along.
#[tokio::test]
async fn t68_no_redirect_repeats_a_form() {
    fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.display().to_string(), fs::read_to_string(&path).expect("source is text")));
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("crates");
    let mut all = Vec::new();
    for name in ["auth", "http-kit", "web", "server"] {
        sources(&crates.join(name).join("src"), &mut all);
    }
    assert!(all.len() > 80, "the files are not where they are looked for");
    let words = ["TEMPORARY_REDIRECT", "PERMANENT_REDIRECT", "Redirect::temporary", "Redirect::permanent"];
    for (file, text) in &all {
        let found: Vec<_> = words.iter().filter(|word| text.contains(**word)).collect();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    // And as it is seen: forms with passwords and decisions.
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.browser();
    let page = mel.follow(&client.authorize_path(DEMO)).await.expect(200);
    let back = mel.submit_sign_in(&page, "mel").await.expect(303).location().to_owned();
    let page = mel.follow(&back).await.expect(200);
    mel.decide(&page, "allow").await.expect(303);
    // What is not taken as a form is not sent elsewhere either.
    for path in ["/oauth/token/", "/oauth/register/", "/login/"] {
        let answer =
            app.send(Method::POST, path, &[("content-type", "application/x-www-form-urlencoded")], "a=b").await;
        assert!(!answer.status.is_redirection(), "{path}: {answer:?}");
    }
}
