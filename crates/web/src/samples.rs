//! Every page in every state, for tests: each context has samples, and each is rendered with honest words
//! and with hostile ones.

use askama::Template;
use model::Timestamp;
use serde_json::json;
use storage::repo::ServerState;

use crate::{
    connect,
    failure::Failure,
    grants::{GrantView, GrantsPage, RevokePage},
    home::{Home, Landing, NewTenantPage, TenantCard, TenantForm},
    offer::OfferView,
    page::{Done, Input, Shell},
    register::{RegisterForm, RegisterPage},
    review::ReviewPage,
    server::{OFF, ON, RevisionRow, ServerPage, UsageView},
    settings::{ClientForm, Given, OwnRow, PolicyForm, SettingsPage, UseRow},
    tenant::{MemberRow, ServerRow, TenantPage},
    turn::Links,
    words::{self, When},
};

/// Turns an honest word into the one that a page shows.
type Words<'a> = &'a dyn Fn(&str) -> String;

/// A page's context, in the states that it can be in.
trait Sample: Template + Sized {
    /// Each state by name. Everything that people, clients or servers wrote goes through `say`.
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)>;
}

/// All pages, rendered.
fn render_all(say: Words<'_>) -> Vec<(&'static str, String)> {
    fn render<T: Sample>(say: Words<'_>) -> impl Iterator<Item = (&'static str, String)> {
        T::samples(say).into_iter().map(|(name, page)| (name, page.render().expect(name)))
    }
    let pages = render::<Landing>(say).chain(render::<Home>(say)).chain(render::<NewTenantPage>(say));
    let pages = pages.chain(render::<TenantPage>(say)).chain(render::<RegisterPage>(say));
    let pages = pages.chain(render::<ReviewPage>(say)).chain(render::<ServerPage>(say));
    pages.chain(render::<GrantsPage>(say)).chain(render::<RevokePage>(say)).chain(render::<SettingsPage>(say)).collect()
}

fn shell(say: Words<'_>) -> Shell {
    Shell { person: say("Alice Arendt"), csrf: say("Zm9yLXRoaXMtYnJvd3Nlcg"), here: "tenants", notice: None }
}

fn at(seconds: u64) -> When {
    let now = Timestamp::from_seconds(1_795_181_820);
    words::when(now - std::time::Duration::from_secs(seconds), now)
}

/// The links in the middle of a list.
fn links(next: &str) -> Links {
    Links { first: next.split('?').next().map(str::to_owned), next: Some(next.to_owned()) }
}

fn faulty(say: Words<'_>, value: &str, fault: &str) -> Input {
    Input { value: say(value), fault: Some(say(fault)) }
}

impl Sample for Landing {
    fn samples(_: Words<'_>) -> Vec<(&'static str, Self)> {
        vec![("landing", Self { fresh: false }), ("landing, before set-up", Self { fresh: true })]
    }
}

impl Sample for Home {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let card = |name: &str, slug: &str, role| TenantCard { name: say(name), href: format!("/t/{slug}"), role };
        let tenants = vec![card("Acme", "acme", "owner"), card("Weather Bureau", "weather-bureau", "member")];
        let more = Links::default();
        let base = Self { shell: shell(say), operator: false, tenants, more, user_id: say("usr_0199f2c1") };
        vec![
            ("home", base.clone()),
            ("home-long", Self { more: links("/?tenants=weather-bureau#tenants"), ..base.clone() }),
            ("home-operator", Self { operator: true, ..base.clone() }),
            ("home-empty", Self { tenants: Vec::new(), ..base.clone() }),
            ("home-empty-operator", Self { tenants: Vec::new(), operator: true, ..base }),
        ]
    }
}

impl Sample for NewTenantPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let form = TenantForm {
            name: Input::new(&say("Acme")),
            slug: faulty(say, "acme", "This name is taken, choose another one."),
        };
        vec![
            ("tenant-new", Self { shell: shell(say), form: TenantForm::default() }),
            ("tenant-new-faulty", Self { shell: shell(say), form }),
        ]
    }
}

impl Sample for TenantPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let server = |name: &str, slug: &str, state| ServerRow {
            name: say(name),
            href: format!("/t/acme/{slug}"),
            state: words::state(state),
            since: at(3 * 86_400),
        };
        let member = |name: &str, you, role| MemberRow {
            name: say(name),
            you,
            role: model::Role::as_str(role),
            may: words::role(role),
        };
        let base = Self {
            shell: Shell { notice: Done::of_query(Some("done=discarded")), ..shell(say) },
            name: say("Acme"),
            settings_href: Some("/t/acme/settings".to_owned()),
            new_href: Some("/t/acme/new".to_owned()),
            servers: vec![
                server("Weather", "weather", ServerState::Live),
                server("Issue tracker", "issues", ServerState::Disabled),
                server("Demo", "demo", ServerState::Draft),
            ],
            more_servers: links("/t/acme?servers=demo#servers"),
            members: vec![
                member("Alice Arendt", true, model::Role::Owner),
                member("Bob Baker", false, model::Role::Developer),
                member("Carol Cho", false, model::Role::Viewer),
            ],
            more_members: links("/t/acme?members=usr_0199f2c1#members"),
        };
        let (none, no_more) = (Links::default(), Links::default());
        let empty =
            Self { servers: Vec::new(), more_servers: none, more_members: no_more, shell: shell(say), ..base.clone() };
        vec![
            ("tenant", base),
            ("tenant-empty-member", Self { new_href: None, ..empty.clone() }),
            ("tenant-empty", empty),
        ]
    }
}

impl Sample for RegisterPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let form = RegisterForm {
            name: Input::new(&say("Weather")),
            slug: Input::new(&say("weather")),
            source: "http",
            url: Input::new(&say("https://weather.example.com/mcp")),
        };
        let base = Self {
            shell: shell(say),
            tenant_name: say("Acme"),
            tenant_href: "/t/acme".to_owned(),
            slug_prefix: "/t/acme/".to_owned(),
            form: RegisterForm { source: "http", ..RegisterForm::default() },
            failure: None,
        };
        let faulty = RegisterForm {
            slug: faulty(say, "Weather!", "Use 2 to 30 of a-z and 0-9, with single dashes inside."),
            url: faulty(say, "weather", "This is not an address: it starts with https:// and a host follows."),
            ..form.clone()
        };
        let failure = Failure {
            text: say("The server cannot be reached. Check the URL, and that the server is running."),
            advice: "The address often ends in /mcp.",
        };
        vec![
            ("register", base.clone()),
            ("register-faulty", Self { form: faulty, ..base.clone() }),
            ("register-demo", Self { form: RegisterForm { source: "demo", ..form.clone() }, ..base.clone() }),
            ("register-failed", Self { form, failure: Some(failure), ..base }),
        ]
    }
}

/// An offer whose every text goes through `say`.
fn offer(say: Words<'_>) -> OfferView {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string", "description": say("Where") }, "days": { "type": "integer" } },
        "required": ["city"],
    });
    let tool = |name: &str, title: &str, description: &str, annotations| {
        json!({
            "name": say(name), "title": say(title), "description": say(description),
            "inputSchema": schema, "outputSchema": schema, "annotations": annotations,
        })
    };
    let offer = json!({
        "era": "modern", "protocolVersion": say("2026-07-28"),
        "server": { "name": say("weather-mcp"), "title": say("Weather Bureau"), "version": say("3.1.0") },
        "instructions": say("Ask for a city first.\nTemperatures are in degrees Celsius."),
        "tools": [
            tool("forecast", "Forecast", "The weather of the next days in a city.\n\nReturns one entry per day.", json!({ "readOnlyHint": true, "openWorldHint": true })),
            tool("set_alert", "Set an alert", "Sends a message when the weather turns.", json!({ "destructiveHint": false, "idempotentHint": true })),
            tool("delete_alerts", "Delete all alerts", "Deletes every alert of the account.", json!({ "destructiveHint": true })),
            json!({ "name": say("raw_query"), "inputSchema": { "type": "object" } }),
        ],
        "prompts": [{ "name": say("packing-list"), "description": say("What to take along"), "arguments": [{ "name": say("city") }] }],
        "resources": [{ "uri": say("weather://stations"), "name": say("Stations"), "mimeType": say("application/json") }],
        "templates": [{ "uriTemplate": say("weather://stations/{id}"), "name": say("One station") }],
    });
    OfferView::stored(&offer).expect("an offer")
}

impl Sample for ReviewPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let base = Self {
            shell: shell(say),
            tenant_name: say("Acme"),
            tenant_href: "/t/acme".to_owned(),
            server_href: "/t/acme/weather".to_owned(),
            name: say("Weather"),
            slug: "weather".to_owned(),
            revision: "rev_0199f2c1".to_owned(),
            upstream: say("https://weather.example.com/mcp"),
            url: "https://mcp.example.com/t/acme/weather/mcp".to_owned(),
            offer: offer(say),
        };
        let hidden = OfferView { hidden: true, ..offer(&|word| say(&format!("{word}\u{200b}"))) };
        vec![
            ("review", base.clone()),
            ("review-hidden", Self { offer: hidden, ..base.clone() }),
            ("review-nothing", Self { offer: OfferView::default(), ..base }),
        ]
    }
}

impl Sample for ServerPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let url = "https://mcp.example.com/t/acme/weather/mcp";
        let slug = "weather".parse().expect("a slug");
        let revision = |live, what: &str| RevisionRow { at: at(3 * 3600), live, what: say(what) };
        let live = Self {
            shell: Shell { notice: Done::of_query(Some("done=live")), ..shell(say) },
            tenant_name: say("Acme"),
            tenant_href: "/t/acme".to_owned(),
            server_href: "/t/acme/weather".to_owned(),
            name: say("Weather"),
            state: words::state(ServerState::Live),
            draft: false,
            disabled: false,
            may_call: true,
            review_href: Some("/t/acme/weather/review".to_owned()),
            url: url.to_owned(),
            ways: connect::ways(&slug, url),
            offer: Some(offer(say)),
            upstream_kind: "A server at an address",
            upstream: Some(say("https://weather.example.com/mcp")),
            since: at(3 * 86_400),
            revisions: vec![
                revision(true, "A server at an address, made in the console, reviewed"),
                revision(false, "A server inside Portico, made by an operator's file, declared"),
            ],
            older: links("/t/acme/weather?history=rev_0199f2c1#history"),
            usage: UsageView { calls: words::number(1_234_567), errors: words::number(89) },
            switch: Some(OFF),
        };
        let local = "http://127.0.0.1:8080/t/acme/weather/mcp";
        let seen = Self {
            shell: shell(say),
            may_call: false,
            review_href: None,
            usage: UsageView::default(),
            upstream: None,
            switch: None,
            offer: None,
            url: local.to_owned(),
            ways: connect::ways(&slug, local),
            ..live.clone()
        };
        let draft = Self { draft: true, state: words::state(ServerState::Draft), shell: shell(say), ..live.clone() };
        vec![
            ("server", live.clone()),
            ("server-viewer", seen),
            ("server-draft-member", Self { review_href: None, switch: None, ..draft.clone() }),
            ("server-draft", Self { switch: None, ..draft }),
            (
                "server-off",
                Self {
                    disabled: true,
                    state: words::state(ServerState::Disabled),
                    switch: Some(ON),
                    shell: shell(say),
                    ..live
                },
            ),
        ]
    }
}

fn grant(say: Words<'_>) -> GrantView {
    GrantView {
        client: say("Claude Code"),
        client_note: say("of claude.ai"),
        server: say("Weather"),
        tenant: say("Acme"),
        scopes: vec![
            say("Call its tools in your name, also those that change or delete things"),
            say("Keep this access while you are away"),
        ],
        since: at(40 * 86_400),
        used: Some(at(300)),
        revoke_href: "/grants/gra_0199f2c1/revoke".to_owned(),
    }
}

impl Sample for GrantsPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let shell = Shell { here: "grants", ..shell(say) };
        let unused = GrantView {
            client: say("my-agent"),
            client_note: say("calls itself that; not verified"),
            used: None,
            ..grant(say)
        };
        vec![
            (
                "grants",
                Self {
                    shell: shell.clone(),
                    grants: vec![grant(say), unused],
                    more: links("/grants?grants=gra_0199f2c1#grants"),
                },
            ),
            ("grants-empty", Self { shell, grants: Vec::new(), more: Links::default() }),
        ]
    }
}

impl Sample for SettingsPage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        let policy = |mode, allow: &str| PolicyForm { mode, allow: Input::new(&say(allow)) };
        let client = |name: &str, id: &str, blocked: Option<When>| UseRow {
            name: say(name),
            id: say(id),
            grants: words::number(3),
            used: Some(at(600)),
            blocked,
        };
        let own = |secret| OwnRow {
            name: say("Reports"),
            id: say("c_0199f2c1"),
            targets: vec![say("https://reports.example.com/callback")],
            secret,
            used: None,
        };
        let base = Self {
            shell: shell(say),
            tenant_name: say("Acme"),
            tenant_href: "/t/acme".to_owned(),
            dcr: policy("open", ""),
            cimd: policy("allowlist", "claude.ai vscode.dev"),
            own: vec![own(true), own(false)],
            used: vec![
                client("Claude Code", "https://claude.ai/oauth/claude-code-client-metadata", None),
                client("my-agent", "c_0199f2c2", Some(at(60))),
            ],
            more: Some("/t/acme/settings?clients=c_0199f2c2#clients".to_owned()),
            form: ClientForm::default(),
            given: None,
        };
        let form = ClientForm {
            name: faulty(say, "", "Use 1 to 128 visible characters."),
            redirects: faulty(say, "ftp://x", "Use 1 to 10 redirect URIs."),
            confidential: true,
        };
        let faulty_list = PolicyForm { mode: "allowlist", allow: faulty(say, "*.ai", "This is no host.") };
        let given = |secret| Some(Given { id: say("c_0199f2c3"), secret });
        vec![
            ("settings", base.clone()),
            ("settings-faulty", Self { form, dcr: faulty_list, ..base.clone() }),
            ("settings-given", Self { given: given(Some(say("cs_0199f2c3"))), ..base.clone() }),
            ("settings-given-public", Self { given: given(None), ..base.clone() }),
            ("settings-empty", Self { own: Vec::new(), used: Vec::new(), more: None, ..base }),
        ]
    }
}

impl Sample for RevokePage {
    fn samples(say: Words<'_>) -> Vec<(&'static str, Self)> {
        vec![("revoke", Self { shell: Shell { here: "grants", ..shell(say) }, grant: grant(say) })]
    }
}

mod contrast;
mod tests;
