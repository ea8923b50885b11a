//! Going to an identity provider and coming back.

use axum::{Router, response::Response};
use http::HeaderMap;
use http_kit::Problem;
use storage::repo::Connection;

use crate::Auth;

/// What a person goes to an identity provider for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Purpose {
    /// To sign in, and then to go on to a path of this site.
    SignIn {
        /// The path, with its query; checked to be of this site.
        return_to: String,
    },
    /// To decide over an authorization request. The callback ends in [`crate::flow::identified`].
    Authorization {
        /// The transaction.
        txn: String,
    },
}

/// Starts a round trip: remembers state, nonce and verifier, sets the flow cookie and answers with
/// [`crate::leave::to_provider`].
pub(crate) async fn start(
    _auth: &Auth,
    _connection: &Connection,
    _purpose: Purpose,
    _headers: &HeaderMap,
) -> Result<Response, Problem> {
    Err(Problem::not_found())
}

/// The callback.
pub(crate) fn routes() -> Router<Auth> {
    Router::new()
}
