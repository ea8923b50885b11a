//! `/t/{tenant}`: a tenant's servers and members.

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http_kit::Problem;
use storage::repo::Server;

use crate::{
    Web,
    access::problem,
    page::{Shell, page},
    paths,
    words::{self, Badge, When},
};

#[derive(Clone, Debug, Template)]
#[template(path = "web/tenant.html")]
pub(crate) struct TenantPage {
    pub(crate) shell: Shell,
    pub(crate) name: String,
    /// Where to register a server, for those who may.
    pub(crate) new_href: Option<String>,
    pub(crate) servers: Vec<ServerRow>,
    pub(crate) members: Vec<MemberRow>,
}

#[derive(Clone, Debug)]
pub(crate) struct ServerRow {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) state: Badge,
    pub(crate) since: When,
}

#[derive(Clone, Debug)]
pub(crate) struct MemberRow {
    pub(crate) name: String,
    pub(crate) you: bool,
    pub(crate) role: &'static str,
    pub(crate) may: &'static str,
}

pub(crate) async fn get(
    State(web): State<Web>,
    browser: Browser,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let member = web.member(&browser, &tenant).await?;
    let slug = &member.tenant().slug;
    let now = web.clock.now();
    let row = |server: Server| ServerRow {
        href: paths::server(slug, &server.slug),
        name: server.name.to_string(),
        state: words::state(server.state),
        since: words::when(server.created_at, now),
    };
    page(&TenantPage {
        shell: Shell::new(&browser, "tenants", query.as_deref()),
        name: member.tenant().name.to_string(),
        new_href: member.developer().map(|_| paths::register(slug)),
        servers: web.registry.servers(&member).await.map_err(problem)?.into_iter().map(row).collect(),
        members: members(&web, &browser, &member).await?,
    })
}

/// The people of a tenant, the most powerful first.
async fn members(web: &Web, browser: &Browser, member: &registry::Member) -> Result<Vec<MemberRow>, Problem> {
    let mut people = web.registry.people(member).await.map_err(problem)?;
    people.sort_by(|(a, a_role), (b, b_role)| b_role.cmp(a_role).then_with(|| a.name.as_str().cmp(b.name.as_str())));
    let row = |(user, role): (storage::repo::User, model::Role)| MemberRow {
        name: user.name.to_string(),
        you: user.id == browser.user.id,
        role: role.as_str(),
        may: words::role(role),
    };
    Ok(people.into_iter().map(row).collect())
}
