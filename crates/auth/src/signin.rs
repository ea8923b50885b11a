//! The pages for signing in and out, and set-up.

use axum::Router;

use crate::Auth;

/// `/login`, `/logout`, `/setup`.
pub(crate) fn routes() -> Router<Auth> {
    Router::new()
}
