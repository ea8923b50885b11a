//! `/t/{tenant}`: a tenant's servers and members.

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http_kit::Problem;
use model::UserId;
use storage::repo::Server;

use crate::{
    Web,
    access::problem,
    page::{Shell, page},
    paths,
    turn::{Links, Turn},
    words::{self, Badge, When},
};

#[derive(Clone, Debug, Template)]
#[template(path = "web/tenant.html")]
pub(crate) struct TenantPage {
    pub(crate) shell: Shell,
    pub(crate) name: String,
    /// Where the settings are, for those who may change them.
    pub(crate) settings_href: Option<String>,
    /// Where to register a server, for those who may.
    pub(crate) new_href: Option<String>,
    pub(crate) servers: Vec<ServerRow>,
    pub(crate) more_servers: Links,
    pub(crate) members: Vec<MemberRow>,
    pub(crate) more_members: Links,
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
    let turn = Turn::read(paths::tenant(slug), "servers", query.as_deref());
    let servers = web.registry.servers(&member, turn.from.as_ref(), turn.limit()).await;
    let mut servers = servers.map_err(problem)?;
    let more_servers = turn.cut(&mut servers, |server| server.slug.clone());
    let (members, more_members) = members(&web, &browser, &member, query.as_deref()).await?;
    page(&TenantPage {
        shell: Shell::new(&browser, "tenants", query.as_deref()),
        name: member.tenant().name.to_string(),
        settings_href: member.admin().map(|_| paths::settings(slug)),
        new_href: member.developer().map(|_| paths::register(slug)),
        servers: servers.into_iter().map(row).collect(),
        more_servers,
        members,
        more_members,
    })
}

/// The people of a tenant, the most powerful of each page first.
async fn members(
    web: &Web,
    browser: &Browser,
    member: &registry::Member,
    query: Option<&str>,
) -> Result<(Vec<MemberRow>, Links), Problem> {
    let turn: Turn<UserId> = Turn::read(paths::tenant(&member.tenant().slug), "members", query);
    let mut people = web.registry.people(member, turn.from, turn.limit()).await.map_err(problem)?;
    let more = turn.cut(&mut people, |(user, _)| user.id);
    people.sort_by(|(a, a_role), (b, b_role)| b_role.cmp(a_role).then_with(|| a.name.as_str().cmp(b.name.as_str())));
    let row = |(user, role): (storage::repo::User, model::Role)| MemberRow {
        name: user.name.to_string(),
        you: user.id == browser.user.id,
        role: role.as_str(),
        may: words::role(role),
    };
    Ok((people.into_iter().map(row).collect(), more))
}
