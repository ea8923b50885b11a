//! `/grants`: what a person allowed clients to do, and taking it back.

use std::collections::{HashMap, hash_map::Entry};

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http_kit::{Fields, Problem};
use model::{GrantId, ServerId, TenantId, Timestamp};
use registry::Member;
use storage::repo::Grant;
use url::Url;

use crate::{
    Web,
    access::problem,
    foreign::Foreign,
    page::{Done, Shell, page},
    paths,
    turn::{Links, Turn},
    words::{self, When},
};

#[derive(Clone, Debug, Template)]
#[template(path = "web/grants.html")]
pub(crate) struct GrantsPage {
    pub(crate) shell: Shell,
    pub(crate) grants: Vec<GrantView>,
    pub(crate) more: Links,
}

#[derive(Clone, Debug, Template)]
#[template(path = "web/revoke.html")]
pub(crate) struct RevokePage {
    pub(crate) shell: Shell,
    pub(crate) grant: GrantView,
}

#[derive(Clone, Debug)]
pub(crate) struct GrantView {
    pub(crate) client: String,
    /// Where the name comes from and how far it is to be believed.
    pub(crate) client_note: String,
    pub(crate) server: String,
    pub(crate) tenant: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) since: When,
    pub(crate) used: Option<When>,
    pub(crate) revoke_href: String,
}

pub(crate) async fn get(
    State(web): State<Web>,
    browser: Browser,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let turn: Turn<GrantId> = Turn::read(paths::GRANTS.to_owned(), "grants", query.as_deref());
    let mut own = web.auth.grants(browser.user.id, turn.from, turn.limit()).await?;
    let more = turn.cut(&mut own, |grant| grant.id);
    let (mut names, mut grants) = (Names::new(&web, &browser), Vec::with_capacity(own.len()));
    for grant in &own {
        grants.extend(names.view(grant).await.map_err(problem)?);
    }
    page(&GrantsPage { shell: Shell::new(&browser, "grants", query.as_deref()), grants, more })
}

pub(crate) async fn revoke_get(
    State(web): State<Web>,
    browser: Browser,
    Path(grant): Path<String>,
) -> Result<Response, Problem> {
    let (_, grant) = one(&web, &browser, &grant).await?;
    page(&RevokePage { shell: Shell::new(&browser, "grants", None), grant })
}

pub(crate) async fn revoke_post(
    State(web): State<Web>,
    browser: Browser,
    Path(grant): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    browser.check_csrf(fields.text("csrf"))?;
    let (id, _) = one(&web, &browser, &grant).await?;
    web.auth.revoke(browser.user.id, id).await?;
    Ok(Done::Revoked.redirect(paths::GRANTS))
}

/// The names of what grants are on, as far as this session opens it.
struct Names<'a> {
    web: &'a Web,
    browser: &'a Browser,
    tenants: HashMap<TenantId, Option<Member>>,
    servers: HashMap<(TenantId, ServerId), Option<String>>,
}

impl<'a> Names<'a> {
    fn new(web: &'a Web, browser: &'a Browser) -> Self {
        Self { web, browser, tenants: HashMap::new(), servers: HashMap::new() }
    }

    /// What a page shows of a grant; `None` if its server is in a tenant that this session does not open.
    async fn view(&mut self, grant: &Grant) -> Result<Option<GrantView>, registry::Error> {
        let (registry, place) = (&self.web.registry, (grant.tenant, grant.server));
        if !self.tenants.contains_key(&grant.tenant) {
            let member = registry.member_of(self.browser.user.id, self.browser.method, grant.tenant).await?;
            self.tenants.insert(grant.tenant, member);
        }
        let Some(Some(member)) = self.tenants.get(&grant.tenant) else { return Ok(None) };
        let server = match self.servers.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let server = registry.server_of(member, grant.server).await?;
                unknown.insert(server.map(|server| server.name.to_string()))
            }
        };
        Ok(server.as_deref().map(|server| view(grant, member.tenant().name.as_str(), server, self.web.clock.now())))
    }
}

/// One of the browser's grants; somebody else's is not found.
async fn one(web: &Web, browser: &Browser, id: &str) -> Result<(GrantId, GrantView), Problem> {
    let id: GrantId = id.parse().map_err(|_| Problem::not_found())?;
    let grant = web.auth.grant(browser.user.id, id).await?.ok_or_else(Problem::not_found)?;
    let view = Names::new(web, browser).view(&grant).await.map_err(problem)?;
    Ok((id, view.ok_or_else(Problem::not_found)?))
}

fn view(grant: &Grant, tenant: &str, server: &str, now: Timestamp) -> GrantView {
    let (client, client_note) = client(grant);
    GrantView {
        client,
        client_note,
        server: server.to_owned(),
        tenant: tenant.to_owned(),
        scopes: words::scopes(&grant.scopes),
        since: words::when(grant.created_at, now),
        used: grant.last_used_at.map(|used| words::when(used, now)),
        revoke_href: paths::revoke(grant.id),
    }
}

/// What to call a client. A client that is known by a URL is vouched for by that host and by nobody
/// else; any other name is only what the client calls itself.
fn client(grant: &Grant) -> (String, String) {
    let own = grant.client_name.as_deref().map(|name| Foreign::new(name).text).filter(|name| !name.is_empty());
    let name = own.unwrap_or_else(|| "A client without a name".to_owned());
    let host = Url::parse(&grant.client_id).ok().filter(|url| url.scheme() == "https");
    let note = match host.as_ref().and_then(Url::host_str) {
        Some(host) => format!("of {host}"),
        None => "calls itself that; not verified".to_owned(),
    };
    (name, note)
}
