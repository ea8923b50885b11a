//! `/t/{tenant}/{server}`: one server, how to connect to it, and its off switch.

use std::time::Duration;

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http_kit::{Fields, Problem};
use model::{Resource, ResourcePath, RevisionId, UpstreamSource};
use registry::Member;
use storage::repo::{Server, ServerRevision, ServerState, UsageCount, hour_of};

use crate::{
    Web,
    access::problem,
    connect,
    offer::OfferView,
    page::{Done, Shell, page},
    paths, register,
    turn::{Links, Turn},
    words::{self, Badge, When},
};

/// How many revisions the page lists.
const HISTORY: u32 = 10;

const HOUR: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, Template)]
#[template(path = "web/server.html")]
pub(crate) struct ServerPage {
    pub(crate) shell: Shell,
    pub(crate) tenant_name: String,
    pub(crate) tenant_href: String,
    pub(crate) server_href: String,
    pub(crate) name: String,
    pub(crate) state: Badge,
    pub(crate) draft: bool,
    pub(crate) disabled: bool,
    pub(crate) may_call: bool,
    /// Where a draft is reviewed, for those who may.
    pub(crate) review_href: Option<String>,
    /// The server's MCP endpoint.
    pub(crate) url: String,
    pub(crate) ways: Vec<connect::Way>,
    pub(crate) offer: Option<OfferView>,
    pub(crate) upstream_kind: &'static str,
    /// The upstream's address, for those who may change it.
    pub(crate) upstream: Option<String>,
    pub(crate) since: When,
    pub(crate) revisions: Vec<RevisionRow>,
    pub(crate) older: Links,
    pub(crate) usage: UsageView,
    pub(crate) switch: Option<Switch>,
}

/// The last 24 hours; empty texts where there was nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageView {
    pub(crate) calls: String,
    pub(crate) errors: String,
}

#[derive(Clone, Debug)]
pub(crate) struct RevisionRow {
    pub(crate) at: When,
    pub(crate) live: bool,
    pub(crate) what: String,
}

/// The form that switches a server off or on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) action: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    /// The button's class.
    pub(crate) kind: &'static str,
}

pub(crate) const OFF: Switch = Switch {
    action: "disable",
    title: "Switch off",
    text: "Its URL then answers as if the server were not there, for everybody, at once. You can switch it on again.",
    kind: "danger",
};

pub(crate) const ON: Switch = Switch {
    action: "enable",
    title: "Switch on",
    text: "It answers again, with the revision it had. Grants that were made still hold.",
    kind: "primary",
};

pub(crate) async fn get(
    State(web): State<Web>,
    browser: Browser,
    Path((tenant, server)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (member, server) = web.server(&browser, &tenant, &server).await?;
    let path = paths::server(&member.tenant().slug, &server.slug);
    let turn: Turn<RevisionId> = Turn::read(path, "history", query.as_deref()).showing(HISTORY);
    let revisions = web.registry.revisions(&member, &server, turn.from, turn.limit()).await;
    let mut revisions = revisions.map_err(problem)?;
    let older = turn.cut(&mut revisions, |revision| revision.id);
    // What answers; of a draft, what would.
    let current = web.registry.current_revision(&member, &server).await.map_err(problem)?;
    let history = History { current: current.as_ref(), revisions: &revisions, older };
    // Whole hours: the one that is under way, and 23 before it.
    let since = hour_of(web.clock.now()) - 23 * HOUR;
    let usage = web.registry.usage(&member, &server, since).await.map_err(problem)?;
    let shell = Shell::new(&browser, "tenants", query.as_deref());
    page(&ServerPage { usage: usage_view(&usage), ..view(&web, shell, &member, &server, history) })
}

pub(crate) async fn post(
    State(web): State<Web>,
    browser: Browser,
    Path((tenant, server)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Problem> {
    browser.check_csrf(fields.text("csrf"))?;
    let (member, server) = web.server(&browser, &tenant, &server).await?;
    let developer = member.developer().ok_or_else(register::forbidden)?;
    let (done, changed) = match fields.text("action") {
        "disable" => (Done::SwitchedOff, web.registry.disable(developer, &server).await),
        "enable" => (Done::SwitchedOn, web.registry.enable(developer, &server).await),
        _ => return Err(Problem::bad_request("A server is switched on or off.")),
    };
    changed.map_err(problem)?;
    web.auth.sync().await;
    Ok(done.redirect(&paths::server(&member.tenant().slug, &server.slug)))
}

/// A server's revisions, as far as a page shows them.
struct History<'a> {
    current: Option<&'a ServerRevision>,
    revisions: &'a [ServerRevision],
    older: Links,
}

fn view(web: &Web, shell: Shell, member: &Member, server: &Server, history: History<'_>) -> ServerPage {
    let History { current, revisions, older } = history;
    let tenant = member.tenant();
    let developer = member.developer().is_some();
    let url = web.url(&tenant.slug, &server.slug);
    let now = web.clock.now();
    ServerPage {
        shell,
        tenant_name: tenant.name.to_string(),
        tenant_href: paths::tenant(&tenant.slug),
        server_href: paths::server(&tenant.slug, &server.slug),
        name: server.name.to_string(),
        state: words::state(server.state),
        draft: server.state == ServerState::Draft,
        disabled: server.state == ServerState::Disabled,
        may_call: member.role().may_call(),
        review_href: developer.then(|| paths::review(&tenant.slug, &server.slug)),
        ways: connect::ways(&server.slug, &url),
        url,
        offer: current.and_then(|revision| OfferView::stored(revision.offer.as_ref()?)),
        upstream_kind: current.map_or("unknown", |revision| kind(&revision.source)),
        upstream: current.filter(|_| developer).map(|revision| address(&revision.source)),
        since: words::when(server.created_at, now),
        revisions: revisions.iter().map(|revision| row(revision, server, now)).collect(),
        older,
        usage: UsageView::default(),
        switch: developer.then_some(server.state).and_then(switch),
    }
}

fn usage_view(counts: &[UsageCount]) -> UsageView {
    let calls: u64 = counts.iter().map(|count| count.calls).sum();
    let errors: u64 = counts.iter().map(|count| count.errors).sum();
    if calls == 0 {
        UsageView::default()
    } else {
        UsageView { calls: words::number(calls), errors: words::number(errors) }
    }
}

fn switch(state: ServerState) -> Option<Switch> {
    match state {
        ServerState::Draft => None,
        ServerState::Live => Some(OFF),
        ServerState::Disabled => Some(ON),
    }
}

fn row(revision: &ServerRevision, server: &Server, now: model::Timestamp) -> RevisionRow {
    let by = if revision.created_by.is_some() { "in the console" } else { "by an operator's file" };
    let seen = if revision.offer.is_some() { "reviewed" } else { "declared" };
    RevisionRow {
        at: words::when(revision.created_at, now),
        live: server.live == Some(revision.id),
        what: format!("{}, made {by}, {seen}", kind(&revision.source)),
    }
}

/// What kind of upstream it is.
pub(crate) fn kind(source: &UpstreamSource) -> &'static str {
    match source {
        UpstreamSource::Http { .. } => "A server at an address",
        UpstreamSource::Builtin { .. } => "A server inside Portico",
    }
}

/// Where an upstream is. A query may hold a key, so only its presence is shown.
pub(crate) fn address(source: &UpstreamSource) -> String {
    match source {
        UpstreamSource::Http { url } => {
            let mut shown = url.clone();
            shown.set_query(None);
            if url.query().is_some() { format!("{shown}?…") } else { shown.to_string() }
        }
        UpstreamSource::Builtin { name } => format!("{name} (inside Portico)"),
    }
}

impl Web {
    /// A server's MCP endpoint.
    pub(crate) fn url(&self, tenant: &model::TenantSlug, server: &model::ServerSlug) -> String {
        let path = ResourcePath { tenant: tenant.clone(), server: server.clone() };
        Resource::new(&self.origins.mcp, &path).to_string()
    }
}
