//! What is decided is written down: who, where, which client and grant; and never a secret.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use model::TenantId;
use storage::repo::{Actor, AuditEvent};
use tests::{TestApp, Tokens};

const DEMO: &str = "/t/acme/demo/mcp";

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The actions that are named where an event is made: `audit(who, "what.happened", …)`.
fn actions(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(".audit(") {
        let call = &text[at..text[at..].find(';').map_or(text.len(), |end| at + end)];
        for quoted in call.split('"').skip(1).step_by(2) {
            let dotted = quoted.split_once('.').is_some_and(|(kind, what)| !kind.is_empty() && !what.is_empty());
            if dotted && quoted.bytes().all(|byte| byte.is_ascii_lowercase() || b"._-".contains(&byte)) {
                found.insert(quoted.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_action_is_in_the_documents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    for part in ["auth", "registry", "server", "web"] {
        rust_files(&root.join("crates").join(part).join("src"), &mut files);
    }
    let ours = |path: &PathBuf| {
        !path.ends_with("tests.rs") && !path.ends_with("bench.rs") && path.iter().all(|part| part != "tests")
    };
    let named: BTreeSet<_> = files
        .iter()
        .filter(|path| ours(path))
        .flat_map(|path| actions(&fs::read_to_string(path).expect("text")))
        .collect();
    assert!(named.len() > 15, "they are not where they are looked for: {named:?}");
    let documents = fs::read_to_string(root.join("docs/audit.md")).expect("the document");
    let missing: Vec<_> = named.iter().filter(|action| !documents.contains(&format!("`{action}`"))).collect();
    assert!(missing.is_empty(), "not in docs/audit.md: {missing:?}");
}

async fn events(app: &TestApp, tenant: Option<TenantId>) -> Vec<AuditEvent> {
    app.store.repos.audit.newest(tenant, None, 200).await.expect("the log")
}

#[tokio::test]
async fn every_decision_of_the_flow_says_who_where_and_what() {
    let app = TestApp::new().await;
    let client = app.client("Assistant").await;
    let mut mel = app.signed_in("mel").await;
    let page = client.ask(&mut mel, DEMO).await;
    mel.decide(&page, "deny").await.expect(303);
    let tokens = client.tokens(&mut mel, DEMO).await;
    let tokens = Tokens::of(&client.refresh(&tokens.refresh).await.expect(200));
    let path = client.authorize_path(DEMO);
    mel.send(http::Method::GET, &path, &[("sec-fetch-site", "none")], "").await.expect(303);
    let grants = mel.get("/grants").await.expect(200);
    let marker = "href=\"/grants/";
    let at = grants.body.find(marker).unwrap_or_else(|| panic!("{}", grants.body)) + "href=\"".len();
    let revoke = grants.body[at..].split('"').next().expect("attributes end").to_owned();
    let form = mel.get(&revoke).await.expect(200);
    mel.post(&revoke, &[("csrf", &form.field("csrf"))]).await.expect(303);

    let slug = "acme".parse().expect("a slug");
    let acme = app.store.repos.tenants.by_slug(&slug).await.expect("the store").expect("acme").id;
    let person =
        app.store.repos.users.by_handle(&"mel".parse().expect("a slug")).await.expect("the store").expect("mel");
    let (own, platform) = (events(&app, Some(acme)).await, events(&app, None).await);
    let (mel, application) = (Actor::User(person.id), Actor::Client(client.id.clone()));
    for (action, actor, of_grant) in [
        ("authorization.denied", &mel, false),
        ("grant.consented", &mel, true),
        ("grant.code_redeemed", &application, true),
        ("grant.refreshed", &application, true),
        ("grant.consent_remembered", &mel, true),
        ("grant.revoked", &mel, true),
    ] {
        let event = own.iter().find(|event| event.action == action).unwrap_or_else(|| panic!("no {action}"));
        assert_eq!(event.actor, *actor, "{action}");
        assert_eq!(event.subject.starts_with("gra_"), of_grant, "{action}: {}", event.subject);
        let names = |text: &str| text.contains(&client.id);
        let said = names(&event.subject) || names(&event.details.to_string()) || names(&event.actor.to_string());
        assert!(said, "{action} does not say which client: {event:?}");
    }
    for action in ["client.registered", "session.started"] {
        assert!(platform.iter().any(|event| event.action == action), "no {action}");
    }
    let all = format!("{own:?} {platform:?}");
    for secret in [&tokens.access, &tokens.refresh, &page.field("csrf"), &page.field("txn")] {
        assert!(!all.contains(secret.as_str()), "{secret}");
    }
}
