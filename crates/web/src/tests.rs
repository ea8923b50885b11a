//! The routes, as people in different roles see them.

use std::time::Duration;

use model::{Clock as _, GrantId, Resource, SeededEntropy};
use storage::repo::{
    Actor, AuditEvent, Code, Grant, GrantState, Redeemed, SignInMethod, UsageBatch, UsageCount, hour_of,
};

use crate::bench::{Bench, ORIGIN};

/// Pages of a tenant, all of which need a member.
const TENANT_PAGES: [&str; 4] = ["", "/new", "/echo", "/echo/review"];

#[tokio::test]
async fn nobody_is_sent_to_sign_in_whatever_the_address() {
    let bench = Bench::new().await;
    let mut nobody = bench.anonymous();
    nobody.get("/").await.assert(200).shows("One front door for your MCP servers").hides("/t/").hides("Nobody has");
    for tenant in ["acme", "absent", "not_a_slug"] {
        for page in TENANT_PAGES {
            let path = format!("/t/{tenant}{page}");
            let seen = nobody.get(&path).await.assert(303);
            let back: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
            assert_eq!(seen.location(), format!("/login?return={back}"));
        }
    }
    for path in ["/grants", "/t/new"] {
        assert!(nobody.get(path).await.assert(303).location().starts_with("/login?return="), "{path}");
    }
}

#[tokio::test]
async fn a_stranger_cannot_tell_what_exists() {
    let bench = Bench::new().await;
    for stranger in ["bob", "oscar"] {
        let mut stranger = bench.person(stranger).await;
        let csrf = stranger.get("/grants").await.field("csrf");
        for page in TENANT_PAGES {
            let real = stranger.get(&format!("/t/acme{page}")).await.assert(404);
            let absent = stranger.get(&format!("/t/absent{page}")).await.assert(404);
            let illegal = stranger.get(&format!("/t/Not_A_Slug{page}")).await.assert(404);
            assert_eq!((&real.text, &real.headers), (&absent.text, &absent.headers), "{page}");
            assert_eq!((&real.text, &real.headers), (&illegal.text, &illegal.headers), "{page}");
            if !page.is_empty() {
                let form = [("csrf", csrf.as_str()), ("action", "disable"), ("decision", "live")];
                let real = stranger.post(&format!("/t/acme{page}"), &form).await.assert(404);
                let absent = stranger.post(&format!("/t/absent{page}"), &form).await.assert(404);
                assert_eq!((&real.text, &real.headers), (&absent.text, &absent.headers), "{page}");
            }
        }
    }
    assert!(bench.resolves("/t/acme/echo/mcp"), "nothing was switched off");
}

#[tokio::test]
async fn a_draft_is_reviewed_and_then_answers() {
    let bench = Bench::new().await;
    let mut dan = bench.person("dan").await;
    let form = [("name", "Playground"), ("slug", "play"), ("source", "demo"), ("url", "")];
    let seen = dan.fill("/t/acme/new", "/t/acme/new", &form).await.assert(303);
    assert_eq!(seen.location(), "/t/acme/play/review");
    assert!(!bench.resolves("/t/acme/play/mcp"), "a draft does not answer");

    let review = dan.get("/t/acme/play/review").await.assert(200);
    let review = review.shows("echo").shows("whoami").shows("2026-07-28").shows("These are the server's own words.");
    let (csrf, revision) = (review.field("csrf"), review.field("revision"));
    let mut carol = bench.person("carol").await;
    carol.get("/t/acme/play/review").await.assert(403);
    carol.get("/t/acme/play").await.assert(200).shows("is a draft").hides("/t/acme/play/mcp");

    let go = [("csrf", csrf.as_str()), ("revision", &revision), ("decision", "live")];
    let seen = dan.post("/t/acme/play/review", &go).await.assert(303);
    assert_eq!(seen.location(), "/t/acme/play?done=live");
    assert!(bench.resolves("/t/acme/play/mcp"), "it answers with the next request");
    let page = dan.get("/t/acme/play?done=live").await.assert(200);
    page.shows("The server is live.").shows(&format!("{ORIGIN}/t/acme/play/mcp")).shows("claude mcp add");
    dan.post("/t/acme/play/review", &go).await.assert(409);
}

#[tokio::test]
async fn what_goes_live_is_what_was_reviewed() {
    let bench = Bench::new().await;
    let mut dan = bench.person("dan").await;
    let form = [("name", "Play"), ("slug", "play"), ("source", "demo")];
    dan.fill("/t/acme/new", "/t/acme/new", &form).await.assert(303);
    let csrf = dan.get("/t/acme/play/review").await.field("csrf");
    // The live revision of another server, and nonsense.
    let tenant = bench.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
    let echo = bench.repos.servers.by_slug(tenant.id, &"echo".parse().unwrap()).await.unwrap().unwrap();
    let other = echo.live.unwrap().to_string();
    let form = |revision| [("csrf", csrf.clone()), ("revision", revision), ("decision", "live".to_owned())];
    for (revision, status) in [(other, 409), ("rev_x".to_owned(), 400), (String::new(), 400)] {
        let form = form(revision);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        dan.post("/t/acme/play/review", &form).await.assert(status);
    }
    assert!(!bench.resolves("/t/acme/play/mcp"));
    let seen = dan.post("/t/acme/play/review", &[("csrf", &csrf), ("decision", "discard")]).await.assert(303);
    assert_eq!(seen.location(), "/t/acme?done=discarded");
    dan.get("/t/acme/play").await.assert(404);
}

#[tokio::test]
async fn a_failed_registration_keeps_what_was_typed_and_stores_nothing() {
    let bench = Bench::new().await;
    let mut dan = bench.person("dan").await;
    let hostile = "\"><svg onload=alert(1)>";
    for (url, reason) in [
        ("http://169.254.169.254/latest", "Portico may not connect to this address."),
        ("http://127.0.0.1:1/mcp", "Portico may not connect to this address."),
        ("https://nowhere.example/mcp", "The server cannot be reached."),
        ("ftp://files.example/", "Use an http or https address."),
        ("https://user:pass@host.example/mcp", "Leave credentials out of the address."),
        ("weather", "This is not an address"),
        ("", "Enter the address of the server"),
    ] {
        let form = [("name", hostile), ("slug", "fresh"), ("source", "http"), ("url", url)];
        let seen = dan.fill("/t/acme/new", "/t/acme/new", &form).await.assert(422).shows(reason);
        seen.shows("value=\"fresh\"").shows("&#60;svg onload").hides("<svg onload").shows(&format!("value=\"{url}\""));
        dan.get("/t/acme/fresh").await.assert(404);
    }
    let taken = [("name", "Echo"), ("slug", "echo"), ("source", "demo")];
    dan.fill("/t/acme/new", "/t/acme/new", &taken).await.assert(422).shows("This name is taken");
    let bad = [("name", ""), ("slug", "New!"), ("source", "demo")];
    dan.fill("/t/acme/new", "/t/acme/new", &bad).await.assert(422).shows("2 things need a correction.");
}

#[tokio::test]
async fn roles_decide_over_changes() {
    let bench = Bench::new().await;
    let mut carol = bench.person("carol").await;
    carol.get("/t/acme").await.assert(200).shows("The Echo").hides("/t/acme/new");
    carol.get("/t/acme/new").await.assert(403);
    let page = carol.get("/t/acme/echo").await.assert(200).shows("You may look, not call.").hides("Switch off");
    let page = page.hides("echo.example");
    let csrf = page.field("csrf");
    carol.post("/t/acme/echo", &[("csrf", &csrf), ("action", "disable")]).await.assert(403);
    carol.post("/t/acme/new", &[("csrf", &csrf), ("source", "demo")]).await.assert(403);
    carol.post("/t/new", &[("csrf", &csrf)]).await.assert(404);

    let mut dan = bench.person("dan").await;
    dan.get("/t/acme/echo").await.assert(200).shows("https://echo.example/mcp?…").hides("s3cret");
    dan.fill("/t/acme/echo", "/t/acme/echo", &[("action", "disable")]).await.assert(303);
    assert!(!bench.resolves("/t/acme/echo/mcp"), "off at once");
    let off = dan.get("/t/acme/echo").await.assert(200).shows("This server is switched off.");
    dan.post("/t/acme/echo", &[("csrf", &off.field("csrf")), ("action", "disable")]).await.assert(409);
    dan.fill("/t/acme/echo", "/t/acme/echo", &[("action", "enable")]).await.assert(303);
    assert!(bench.resolves("/t/acme/echo/mcp"));
    dan.fill("/t/acme/echo", "/t/acme/echo", &[("action", "explode")]).await.assert(400);
}

#[tokio::test]
async fn operators_found_tenants_and_see_no_others() {
    let bench = Bench::new().await;
    let mut oscar = bench.person("oscar").await;
    oscar.get("/").await.assert(200).shows("Create a tenant").hides("Acme");
    oscar.fill("/t/new", "/t/new", &[("name", "Acme"), ("slug", "acme")]).await.assert(422).shows("taken");
    let seen = oscar.fill("/t/new", "/t/new", &[("name", "Oscar's"), ("slug", "oscars")]).await.assert(303);
    assert_eq!(seen.location(), "/t/oscars?done=created");
    oscar.get("/t/oscars").await.assert(200).shows("owner").shows("No server yet");
    oscar.get("/t/acme").await.assert(404);
    bench.person("alice").await.get("/t/new").await.assert(404);
}

#[tokio::test]
async fn writes_need_our_origin_and_this_sessions_token() {
    let bench = Bench::new().await;
    let (mut dan, mut alice) = (bench.person("dan").await, bench.person("alice").await);
    let csrf = dan.get("/t/acme/echo").await.field("csrf");
    let form = [("csrf", csrf.as_str()), ("action", "disable")];
    for origin in [None, Some("null"), Some("https://evil.example"), Some("http://portico.example")] {
        dan.origin = origin;
        dan.post("/t/acme/echo", &form).await.assert(400);
    }
    dan.origin = Some(ORIGIN);
    dan.post("/t/acme/echo", &[("action", "disable")]).await.assert(400);
    alice.post("/t/acme/echo", &form).await.assert(400);
    // A page that stood open for longer than a form may; the session itself is kept alive meanwhile.
    for _ in 0..13 {
        bench.clock.advance(Duration::from_hours(1));
        dan.get("/").await.assert(200);
    }
    dan.post("/t/acme/echo", &form).await.assert(400);
    assert!(bench.resolves("/t/acme/echo/mcp"));
    dan.fill("/t/acme/echo", "/t/acme/echo", &[("action", "disable")]).await.assert(303);
}

/// A grant of a person on acme's echo.
async fn grant(bench: &Bench, handle: &str, client_id: &str) -> GrantId {
    let (clock, entropy) = (&*bench.clock, SeededEntropy::new(handle.len() as u64));
    let user = bench.repos.users.by_handle(&handle.parse().unwrap()).await.unwrap().unwrap();
    let tenant = bench.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
    let server = bench.repos.servers.by_slug(tenant.id, &"echo".parse().unwrap()).await.unwrap().unwrap();
    let now = model::Clock::now(clock);
    let grant = Grant {
        id: GrantId::new(clock, &entropy),
        user: user.id,
        method: SignInMethod::Local,
        tenant: tenant.id,
        server: server.id,
        client_id: client_id.to_owned(),
        client_name: Some("Sly <b>client</b>\u{202e}".to_owned()),
        resource: Resource::new(ORIGIN, &"/t/acme/echo/mcp".parse().unwrap()),
        scopes: "mcp:tools offline_access".parse().unwrap(),
        state: GrantState::Pending,
        version: 1,
        created_at: now,
        last_used_at: None,
        expires_at: now + Duration::from_hours(24),
    };
    let code = Code {
        hash: [9; 32],
        grant: grant.id,
        redirect_uri: "https://client.example/cb".to_owned(),
        redirect_uri_sent: true,
        challenge: String::new(),
        expires_at: now + Duration::from_mins(1),
        used_at: None,
        failures: 0,
    };
    let event = || AuditEvent::new(clock, &entropy, Actor::System, "test.prepared", grant.id);
    bench.repos.grants.authorize(&grant, &code, &event()).await.unwrap();
    let redeemed = bench.repos.grants.redeem(&code.hash, None, now, &event()).await.unwrap();
    assert_eq!(redeemed, Redeemed::Yes);
    grant.id
}

#[tokio::test]
async fn a_grant_is_shown_to_its_person_and_revoked_by_them_only() {
    let bench = Bench::new().await;
    let id = grant(&bench, "alice", "https://claude.ai/oauth/client").await;
    let mut alice = bench.person("alice").await;
    let page = alice.get("/grants").await.assert(200).shows("The Echo").shows("of claude.ai").shows("just now");
    page.shows("Sly &#60;b&#62;client&#60;/b&#62;‹U+202E›").shows("Call its tools").hides("<b>client");
    let path = format!("/grants/{id}/revoke");

    let mut dan = bench.person("dan").await;
    dan.get("/grants").await.assert(200).shows("You allowed nothing yet");
    dan.get(&path).await.assert(404);
    let csrf = dan.get("/grants").await.field("csrf");
    dan.post(&path, &[("csrf", &csrf)]).await.assert(404);

    alice.get(&path).await.assert(200).shows("Revoke this grant?");
    let seen = alice.fill(&path, &path, &[]).await.assert(303);
    assert_eq!(seen.location(), "/grants?done=revoked");
    alice.get("/grants?done=revoked").await.shows("The grant was revoked.").shows("You allowed nothing yet");
    alice.get(&path).await.assert(404);
}

#[tokio::test]
async fn every_answer_is_a_page_with_the_headers_of_pages() {
    let bench = Bench::new().await;
    let mut alice = bench.person("alice").await;
    for path in ["/", "/t/acme", "/t/acme/echo", "/t/absent", "/no/such/page", "/grants"] {
        let seen = alice.get(path).await;
        let policy = seen.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{path}: {policy}");
        assert_eq!(seen.headers["cache-control"], "no-store", "{path}");
        let seen = seen.shows("<!doctype html>");
        let style = seen.text.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let style = alice.get(&style).await.assert(200);
        assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
        assert_eq!(style.headers["cache-control"], "public, max-age=31536000, immutable");
    }
    alice.post("/grants", &[]).await.assert(405);
}

#[tokio::test]
async fn a_server_shows_how_much_it_was_used() {
    let bench = Bench::new().await;
    let mut carol = bench.person("carol").await;
    carol.get("/t/acme/echo").await.assert(200).shows("Last 24 hours").shows("No calls yet.").hides("<dt>Calls");
    let tenant = bench.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap().unwrap();
    let echo = bench.repos.servers.by_slug(tenant.id, &"echo".parse().unwrap()).await.unwrap().unwrap();
    let (now, hour) = (bench.clock.now(), Duration::from_hours(1));
    let count = |ago: u32, calls, errors| UsageCount {
        tenant: tenant.id,
        server: echo.id,
        hour: hour_of(now) - ago * hour,
        calls,
        errors,
    };
    // The oldest is of yesterday.
    let counts = vec![count(0, 1200, 3), count(23, 34, 1), count(24, 5000, 5000)];
    let id = model::Id::new(&*bench.clock, &SeededEntropy::new(5));
    bench.repos.usage.add(&UsageBatch { id, counts }, now).await.unwrap();
    let page = carol.get("/t/acme/echo").await.assert(200).hides("No calls yet.");
    page.shows("<dt>Calls</dt><dd>1,234</dd>").shows("<dt>Errors</dt><dd>4</dd>");
    bench.clock.advance(Duration::from_hours(24));
    carol.get("/t/acme/echo").await;
    let mut dan = bench.person("dan").await;
    dan.get("/t/acme/echo").await.assert(200).shows("No calls yet.");
}
