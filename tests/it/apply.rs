//! `portico apply`: idempotent, complete in its complaints, careful with what it deletes.

use std::path::Path;

use http::Method;
use registry::apply::{File, Plan, PlanError};
use serde_json::json;
use tests::{TestApp, World};

const DEMO: &str = "/t/acme/demo/mcp";

#[tokio::test]
async fn applying_twice_plans_nothing() {
    let app = TestApp::of(World::EMPTY, "").await;
    let first = app.apply(World::TWO_TENANTS.0, false).await;
    assert!(first.contains("+ user otto (operator)") && first.contains("+ server acme/demo: builtin demo"), "{first}");
    let second = app.apply(World::TWO_TENANTS.0, true).await;
    assert_eq!(second, "Nothing to do: everything is as declared.\n");
}

#[tokio::test]
async fn a_change_is_planned_and_nothing_else() {
    let app = TestApp::new().await;
    let changed = World::TWO_TENANTS.0.replace("\"vic\", role = \"viewer\"", "\"vic\", role = \"member\"").replacen(
        "{ kind = \"builtin\", name = \"demo\" }",
        "{ kind = \"http\", url = \"http://127.0.0.1:9/mcp\" }",
        1,
    );
    insta::assert_snapshot!(app.apply(&changed, false).await, @r"
    ~ tenant acme: vic from viewer to member
    ~ server acme/demo: http://127.0.0.1:9/mcp
    ");
    assert_eq!(app.apply(&changed, false).await, "Nothing to do: everything is as declared.\n");
}

#[tokio::test]
async fn a_plan_says_who_is_no_operator_any_more() {
    let app = TestApp::new().await;
    let changed = World::TWO_TENANTS.0.replace("operator = true\n", "").replacen(
        "password_file = \"owen.password\"",
        "password_file = \"owen.password\"\noperator = true",
        1,
    );
    insta::assert_snapshot!(app.apply(&changed, false).await, @r"
    ~ user otto: otto (not an operator)
    ~ user owen: owen (operator)
    ");
}

#[tokio::test]
async fn a_changed_password_is_seen_by_its_hash() {
    let app = TestApp::new().await;
    let text = "[[user]]\nname = \"mel\"\nemail = \"mel@example.com\"\npassword_file = \"new.password\"\n\
                display_name = \"mel\"\n";
    assert_eq!(app.apply(text, false).await, "~ user mel: password\n");
    let mut browser = app.browser();
    let page = browser.get("/login").await.expect(200);
    browser.submit_sign_in(&page, "mel").await.expect(403);
}

#[tokio::test]
async fn prune_deletes_what_was_taken_back_and_keeps_the_last_operator() {
    let app = TestApp::new().await;
    let plan = app.apply("[[tenant]]\nslug = \"acme\"\nname = \"Acme\"\n", true).await;
    // Whoever was made in the same millisecond comes in any order.
    let mut lines: Vec<_> = plan.lines().collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    ! user otto stays: the last operator
    - server acme/demo
    - tenant acme: dora
    - tenant acme: mel
    - tenant acme: owen
    - tenant acme: vic
    - tenant other and all that it owns
    - user dora
    - user mel
    - user olga
    - user owen
    - user sam
    - user vic
    ");
    app.call(DEMO, None, "tools/list", json!({})).await.expect(401);
}

#[tokio::test]
async fn a_first_file_without_an_operator_is_told_so() {
    let app = TestApp::of(World::EMPTY, "").await;
    let note = "! nobody runs the installation: give one user operator = true\n";
    assert_eq!(app.apply("[[user]]\nname = \"alice\"\n", false).await, format!("+ user alice\n{note}"));
    let operator = "[[user]]\nname = \"alice\"\noperator = true\n";
    assert_eq!(app.apply(operator, false).await, "~ user alice: alice (operator)\n");
}

#[tokio::test]
async fn nothing_is_deleted_without_prune() {
    let app = TestApp::new().await;
    assert_eq!(app.apply("", false).await, "Nothing to do: everything is as declared.\n");
}

#[tokio::test]
async fn the_set_up_person_and_their_tenant_are_not_pruned() {
    let app = TestApp::of(World::EMPTY, "").await;
    let link = app.built.setup.issue().await.expect("the store").expect("set-up is open");
    let mut browser = app.browser();
    let page = browser.get(link.url.expose()).await.expect(200);
    let (csrf, token) = (page.field("csrf"), page.field("token"));
    let fields = [
        ("csrf", &*csrf),
        ("token", &*token),
        ("name", "Root"),
        ("email", "root@example.com"),
        ("password", "a long password"),
        ("tenant", "home"),
    ];
    browser.post("/setup", &fields).await.expect(303);
    let plan = app.apply("", true).await;
    insta::assert_snapshot!(plan, @r"
    Nothing to do: everything is as declared.
    ! tenant home stays: somebody is in it whom no file names
    ");
    browser.get("/t/home").await.expect(200);
    assert!(app.built.setup.issue().await.expect("the store").is_none());
    browser.send(Method::GET, link.url.expose(), &[], "").await.expect(404);
}

#[tokio::test]
async fn contradictions_are_reported_together() {
    let app = TestApp::new().await;
    let text = "[[user]]\nname = \"otto\"\nidentities = [{ connection = \"google\", subject = \"1\" }]\n\
                [[tenant]]\nslug = \"acme\"\nmembers = [{ user = \"nobody\", role = \"owner\" }]\n";
    let file = File::parse(text, Path::new("")).expect("it parses");
    let Err(PlanError::Contradictions(faults)) = Plan::new(&app.built.registry, &file, false).await else {
        panic!("it was planned")
    };
    assert_eq!(
        faults,
        [
            "user otto: there is no connection \"google\"",
            "tenant acme: there is no user \"nobody\"",
            "nobody would run the installation: give one user operator = true",
        ]
    );
}

#[test]
fn faults_are_reported_together_with_their_places() {
    let text = "[[user]]\nname = \"A\"\nemail = \"x\"\npassword_file = \"no.password\"\n\n[[tenant]]\nslug = \"t\"\n\
                members = [{ user = \"alice\", role = \"boss\" }]\n[[tenant.server]]\nslug = \"echo\"\n\
                upstream = { kind = \"http\", url = \"ftp://x\", extra = 1 }\n\n[[connection]]\nid = \"sso\"\n\
                kind = \"oidc\"\nclient_id = \"x\"\n";
    let faults = File::parse(text, Path::new("nowhere")).expect_err("it is wrong");
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(faults.join("\n"), @r"
    line 2: user[0].name: use 2 to 30 of a-z and 0-9, with single dashes inside
    line 3: user[0].email: use an address like alice@example.com
    line 4: user[0].password_file: nowhere/no.password cannot be read: No such file or directory (os error 2)
    line 7: tenant[0].slug: use 3 to 30 of a-z and 0-9, with single dashes inside
    line 8: tenant[0].members[0].role: a role is owner, admin, developer, member or viewer
    line 11: tenant[0].server[0].upstream.url: use an http or https address
    line 11: tenant[0].server[0].upstream.extra: is not a known key
    line 13: connection[0].client_secret_file: is missing
    line 13: connection[0].issuer: is missing
    ");
}

#[tokio::test]
async fn a_connection_stays_with_its_provider() {
    let app = TestApp::of(World::EMPTY, "").await;
    let declared = |client: &str, api: &str| {
        let text = format!(
            "[[connection]]\nid = \"hub\"\nkind = \"github\"\nclient_id = \"{client}\"\n\
             client_secret_file = \"hub.secret\"\n{api}"
        );
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("hub.secret"), "secret").expect("a secret");
        File::parse(&text, folder.path()).expect("it parses")
    };
    let plan = async |file: &File| Plan::new(&app.built.registry, file, false).await;
    plan(&declared("one", "")).await.expect("a plan").execute(&app.built.registry).await.expect("it applies");
    plan(&declared("two", "")).await.expect("another client at the same provider is fine");
    let elsewhere = declared("one", "api_url = \"https://git.example.com/api/v3\"\n");
    let Err(PlanError::Contradictions(faults)) = plan(&elsewhere).await else {
        panic!("subjects of one provider would be people of another");
    };
    assert!(faults[0].contains("cannot lead to another provider"), "{faults:?}");
}
