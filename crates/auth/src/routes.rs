use axum::Router;

use crate::{Auth, connect, documents, signin};

/// All routes of sign-in and of the authorization server, with their layers.
pub fn routes(auth: Auth) -> Router {
    Router::new().merge(documents::routes()).merge(connect::routes()).merge(signin::routes()).with_state(auth)
}
