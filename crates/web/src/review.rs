//! `/t/{tenant}/{server}/review`: what a draft offers, and the decision whether it goes live.

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use http_kit::{Fields, Problem};
use model::RevisionId;
use storage::repo::ServerState;

use crate::{
    Web,
    access::problem,
    offer::OfferView,
    page::{Done, Shell, page},
    paths, register, server,
};

#[derive(Clone, Debug, Template)]
#[template(path = "web/review.html")]
pub(crate) struct ReviewPage {
    pub(crate) shell: Shell,
    pub(crate) tenant_name: String,
    pub(crate) tenant_href: String,
    pub(crate) server_href: String,
    pub(crate) name: String,
    pub(crate) slug: String,
    /// What is shown is what goes live: the form sends it back.
    pub(crate) revision: String,
    pub(crate) upstream: String,
    pub(crate) url: String,
    pub(crate) offer: OfferView,
}

pub(crate) async fn get(
    State(web): State<Web>,
    browser: Browser,
    Path((tenant, server)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (member, server) = web.server(&browser, &tenant, &server).await?;
    let slug = &member.tenant().slug;
    let server_href = paths::server(slug, &server.slug);
    if server.state != ServerState::Draft {
        return Ok(Redirect::to(&server_href).into_response());
    }
    member.developer().ok_or_else(register::forbidden)?;
    let revision = web.registry.current_revision(&member, &server).await.map_err(problem)?;
    let revision = revision.ok_or_else(Problem::not_found)?;
    page(&ReviewPage {
        shell: Shell::new(&browser, "tenants", None),
        tenant_name: member.tenant().name.to_string(),
        tenant_href: paths::tenant(slug),
        server_href,
        name: server.name.to_string(),
        slug: server.slug.to_string(),
        revision: revision.id.to_string(),
        upstream: server::address(&revision.source),
        url: web.url(slug, &server.slug),
        offer: revision.offer.as_ref().and_then(OfferView::stored).unwrap_or_default(),
    })
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
    let slug = &member.tenant().slug;
    if server.state != ServerState::Draft {
        return Err(Problem::conflict("This server is no draft any more.")
            .with_link(paths::server(slug, &server.slug), "Go to the server"));
    }
    match fields.text("decision") {
        "live" => {
            let reviewed: RevisionId = fields.text("revision").parse().map_err(|_| incomplete())?;
            web.registry.go_live(developer, &server, reviewed).await.map_err(problem)?;
            web.auth.sync().await;
            Ok(Done::WentLive.redirect(&paths::server(slug, &server.slug)))
        }
        "discard" => {
            web.registry.discard_draft(developer, &server).await.map_err(problem)?;
            Ok(Done::Discarded.redirect(&paths::tenant(slug)))
        }
        _ => Err(incomplete()),
    }
}

fn incomplete() -> Problem {
    Problem::bad_request("The form came without a decision. Open the review again.")
}
