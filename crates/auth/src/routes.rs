use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{any, get, post},
};
use http_kit::{page_headers, problem_pages, same_origin_guard};

use crate::{
    Auth, IssuerMode, authorize, connect, consent, cors, documents, register, session::session_layer, signin, token,
};

/// All routes of sign-in and of the authorization server, with their layers.
pub fn routes(auth: Auth) -> Router {
    let mode = auth.config.issuers;
    let browsers = Router::new()
        .merge(of_issuer(mode, Router::new().route(authorize::PATH, get(authorize::get))))
        .route(consent::PATH, get(consent::get).post(consent::post))
        .route(consent::CONTINUE_PATH, get(consent::onward))
        .merge(connect::routes())
        .merge(signin::routes());
    let foreign = of_issuer(mode, Router::new().route(authorize::PATH, post(authorize::post)));
    pages(&auth, browsers).merge(forms(&auth, foreign)).merge(programs(mode)).with_state(auth)
}

/// Endpoints of an issuer, at its path.
fn of_issuer(mode: IssuerMode, endpoints: Router<Auth>) -> Router<Auth> {
    match mode {
        IssuerMode::Platform => endpoints,
        IssuerMode::Tenant => Router::new().nest(mode.route(), endpoints),
    }
}

/// What programs call: no cookies, from pages of any origin. What is not there says so to them as well.
fn programs(mode: IssuerMode) -> Router<Auth> {
    let endpoints = Router::new()
        .route(token::PATH, post(token::post))
        .route(register::PATH, post(register::post))
        .route(register::MANAGE_PATH, get(register::get).put(register::put).delete(register::delete))
        .merge(documents::of_issuer());
    let mut all =
        of_issuer(mode, endpoints).merge(documents::routes(mode)).route("/oauth/{*rest}", any(documents::absent));
    if mode == IssuerMode::Tenant {
        all = all.route("/t/{tenant}/oauth/{*rest}", any(documents::absent));
    }
    all.layer(middleware::from_fn(cors::any_origin))
}

/// Forms that pages of other sites may send here: they carry no cookie, so they need no session and no check of
/// where they are from.
fn forms(auth: &Auth, routes: Router<Auth>) -> Router<Auth> {
    routes
        .layer(middleware::from_fn(problem_pages))
        .layer(middleware::from_fn_with_state(Arc::clone(&auth.origins), page_headers))
}

/// Routes of pages with the layers that all of them need; a request passes them in this order. Problems
/// become pages, answers get the headers of pages, a form has to come from a page of ours, and there is a
/// session.
pub fn pages<S: Clone + Send + Sync + 'static>(auth: &Auth, routes: Router<S>) -> Router<S> {
    let guard = middleware::from_fn_with_state(Arc::clone(&auth.origins), same_origin_guard);
    plain_pages(auth, routes.layer(session_layer(auth)).layer(guard))
}

/// Pages that know nobody and write nothing, such as the one for what is not there: without a session, and
/// without asking where a form came from.
pub fn plain_pages<S: Clone + Send + Sync + 'static>(auth: &Auth, routes: Router<S>) -> Router<S> {
    routes
        .layer(middleware::from_fn(problem_pages))
        .layer(middleware::from_fn_with_state(Arc::clone(&auth.origins), page_headers))
}
