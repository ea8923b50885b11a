//! Pages for people: the console.
//!
//! Plain HTML without any script: every action is a link or a form, and every form that writes is a POST
//! with a CSRF token from an exact Origin, answered with a redirect (303) or with the form again.
//!
//! Invariants:
//! - Who may see or do what is decided in `registry`; a handler extracts, calls one function, answers.
//! - A signed-in stranger gets the same 404 for an existing and an absent tenant or server; somebody who
//!   has not signed in is sent to sign in, whatever the address.
//! - What a hosted server says is shown as escaped text and never as a link.
//! - A template's context holds finished texts: no template decides anything but what to show.

mod access;
mod connect;
mod failure;
mod foreign;
mod grants;
mod home;
mod offer;
mod page;
mod paths;
mod register;
mod review;
mod server;
mod settings;
mod tenant;
mod turn;
mod words;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use auth::Auth;
use axum::{Router, extract::FromRef, routing::get};
use http_kit::{Origins, Problem, stylesheet};
use model::Clock;
use registry::Registry;
use upstream::Upstream;

/// What the pages are made from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Web {
    /// Tenants, people, servers.
    pub registry: Registry,
    /// Sessions and grants.
    pub auth: Auth,
    /// What a new server is looked at through.
    pub upstream: Arc<dyn Upstream>,
    /// Where the installation is reached.
    pub origins: Arc<Origins>,
    /// What "5 minutes ago" is counted from.
    pub clock: Arc<dyn Clock>,
}

impl FromRef<Web> for Auth {
    fn from_ref(web: &Web) -> Self {
        web.auth.clone()
    }
}

/// The console with every layer that its pages need, the stylesheet, and the page for whatever is not
/// there; so at most one router of the process has a fallback, and it is this one.
pub fn routes(web: Web) -> Router {
    let pages = Router::new()
        .route(paths::HOME, get(home::get))
        .route(paths::NEW_TENANT, get(home::new_get).post(home::new_post))
        .route(paths::TENANT, get(tenant::get))
        .route(paths::REGISTER, get(register::get).post(register::post))
        .route(paths::SETTINGS, get(settings::get).post(settings::post))
        .route(paths::SERVER, get(server::get).post(server::post))
        .route(paths::REVIEW, get(review::get).post(review::post))
        .route(paths::GRANTS, get(grants::get))
        .route(paths::REVOKE, get(grants::revoke_get).post(grants::revoke_post))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    // Whatever is sent to an address that is none, there is nothing there: no form to be told about.
    let absent = Router::new().fallback(async || Problem::not_found());
    let absent = auth::plain_pages(&web.auth, absent);
    auth::pages(&web.auth, pages).merge(absent).with_state(web).merge(stylesheet::routes())
}
