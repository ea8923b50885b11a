use std::sync::Arc;

use axum::{Router, middleware};
use http_kit::{page_headers, problem_pages, same_origin_guard};

use crate::{Auth, connect, documents, session_layer, signin};

/// All routes of sign-in and of the authorization server, with their layers.
pub fn routes(auth: Auth) -> Router {
    let pages = pages(&auth, Router::new().merge(connect::routes()).merge(signin::routes()));
    Router::new().merge(documents::routes()).merge(pages).with_state(auth)
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
