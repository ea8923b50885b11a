//! An authorization request on its way from the client to the person's decision.

use axum::response::Response;
use http_kit::Problem;
use storage::repo::{SignInMethod, User};

use crate::Auth;

/// Goes on with a transaction after the callback of a connection has verified who the person is, and has
/// put them into the session, with a new session id. Answers with the way to the confirm page.
pub(crate) async fn identified(
    _auth: &Auth,
    _txn: &str,
    _headers: &http::HeaderMap,
    _user: &User,
    _method: SignInMethod,
) -> Result<Response, Problem> {
    Err(Problem::not_found())
}

/// Goes on with a transaction after the identity provider sent the browser back with an error, which the
/// callback has held to the same checks as a success. `by_person` tells whether the person declined there.
pub(crate) async fn declined(
    _auth: &Auth,
    _txn: &str,
    _headers: &http::HeaderMap,
    _by_person: bool,
) -> Result<Response, Problem> {
    Err(Problem::not_found())
}
