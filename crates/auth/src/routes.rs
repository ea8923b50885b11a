use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use http_kit::{page_headers, problem_pages, same_origin_guard};

use crate::{Auth, authorize, connect, consent, cors, documents, register, session::session_layer, signin, token};

/// All routes of sign-in and of the authorization server, with their layers.
pub fn routes(auth: Auth) -> Router {
    let browsers = Router::new()
        .route(authorize::PATH, get(authorize::get))
        .route(consent::PATH, get(consent::get).post(consent::post))
        .route(consent::CONTINUE_PATH, get(consent::onward))
        .merge(connect::routes())
        .merge(signin::routes());
    pages(&auth, browsers).merge(programs()).with_state(auth)
}

/// What programs call: no cookies, from pages of any origin.
fn programs() -> Router<Auth> {
    Router::new()
        .route(token::PATH, post(token::post))
        .route(register::PATH, post(register::post))
        .route(register::MANAGE_PATH, get(register::get).put(register::put).delete(register::delete))
        .merge(documents::routes())
        .layer(middleware::from_fn(cors::any_origin))
}

/// Routes of pages with the layers that all of them need; a request passes them in this order. Problems
/// become pages, answers get the headers of pages, a form has to come from a page of ours, and there is a
/// session.
pub fn pages<S: Clone + Send + Sync + 'static>(auth: &Auth, routes: Router<S>) -> Router<S> {
    let origins = || Arc::clone(&auth.origins);
    routes
        .layer(session_layer(auth))
        .layer(middleware::from_fn_with_state(origins(), same_origin_guard))
        .layer(middleware::from_fn(problem_pages))
        .layer(middleware::from_fn_with_state(origins(), page_headers))
}
