//! `/grants`: what a person allowed clients to do, and taking it back.

use std::collections::HashMap;

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http_kit::{Fields, Problem};
use model::{GrantId, ServerId, TenantId, Timestamp};
use storage::repo::Grant;
use url::Url;

use crate::{
    Web,
    access::problem,
    foreign::Foreign,
    page::{Done, Shell, page},
    paths,
    words::{self, When},
};

#[derive(Clone, Debug, Template)]
#[template(path = "web/grants.html")]
pub(crate) struct GrantsPage {
    pub(crate) shell: Shell,
    pub(crate) grants: Vec<GrantView>,
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
    let grants = own(&web, &browser).await?.into_iter().map(|(_, view)| view).collect();
    page(&GrantsPage { shell: Shell::new(&browser, "grants", query.as_deref()), grants })
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

/// The browser's grants on servers of tenants that this session opens, newest first.
async fn own(web: &Web, browser: &Browser) -> Result<Vec<(GrantId, GrantView)>, Problem> {
    let mut grants = web.auth.grants(browser.user.id).await?;
    grants.sort_by_key(|grant| std::cmp::Reverse(grant.created_at));
    let names = names(web, browser).await?;
    let now = web.clock.now();
    let shown = grants.iter().filter_map(|grant| {
        let (tenant, servers) = names.get(&grant.tenant)?;
        let server = servers.get(&grant.server)?;
        Some((grant.id, view(grant, tenant, server, now)))
    });
    Ok(shown.collect())
}

/// One of them; somebody else's is not found.
async fn one(web: &Web, browser: &Browser, id: &str) -> Result<(GrantId, GrantView), Problem> {
    let id: GrantId = id.parse().map_err(|_| Problem::not_found())?;
    own(web, browser).await?.into_iter().find(|(own, _)| *own == id).ok_or_else(Problem::not_found)
}

/// By tenant, its name and the names of its servers.
type Names = HashMap<TenantId, (String, HashMap<ServerId, String>)>;

async fn names(web: &Web, browser: &Browser) -> Result<Names, Problem> {
    let mut names = Names::new();
    for membership in web.registry.memberships(browser.user.id, browser.method).await.map_err(problem)? {
        let slug = &membership.tenant.slug;
        let member = web.registry.member(browser.user.id, browser.method, slug).await.map_err(problem)?;
        let Some(member) = member else { continue };
        let servers = web.registry.servers(&member).await.map_err(problem)?;
        let servers = servers.into_iter().map(|server| (server.id, server.name.to_string())).collect();
        names.insert(membership.tenant.id, (membership.tenant.name.to_string(), servers));
    }
    Ok(names)
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
