use std::{ops::Deref, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts, OriginalUri},
    http::{HeaderValue, Method, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use http_kit::Problem;
use storage::repo::{SignInMethod, User};
use tower_sessions::Session;

use super::{Binding, SignedIn, VISITOR_COOKIE};
use crate::{Auth, signin};

/// How long a form may stay open before it is sent.
const FORM: Duration = Duration::from_hours(12);
/// What the CSRF tokens of a session's own forms are for.
const OWN_FORMS: &str = "session";

/// A browser in which somebody is signed in. As an extractor it sends everybody else to sign-in and back;
/// as `Option<Browser>` it is `None` for them. Needs [`session_layer`](super::session_layer) around the
/// route.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Who, how and since when.
    pub signed_in: SignedIn,
    binding: Binding,
    auth: Auth,
}

impl Browser {
    /// A CSRF token for the forms of this session.
    pub fn csrf(&self) -> String {
        csrf(&self.auth, self.binding, OWN_FORMS)
    }

    /// Refuses a form that was not made for this session.
    pub fn check_csrf(&self, token: &str) -> Result<(), Problem> {
        check_csrf(&self.auth, self.binding, OWN_FORMS, token)
    }
}

impl Deref for Browser {
    type Target = SignedIn;

    fn deref(&self) -> &SignedIn {
        &self.signed_in
    }
}

/// The session of a browser, which may have nobody signed in. Never refuses a browser; fails only with
/// the store.
#[derive(Debug)]
pub(crate) struct BrowserSession {
    /// Who is signed in, if somebody is.
    pub(crate) signed_in: Option<SignedIn>,
    binding: Binding,
    cookie: Option<HeaderValue>,
    session: Session,
    auth: Auth,
}

impl BrowserSession {
    /// A CSRF token for one kind of form, or for one thing.
    pub(crate) fn csrf(&self, form: &str) -> String {
        csrf(&self.auth, self.binding, form)
    }

    /// Refuses a form that was not made for this browser, or for another thing.
    pub(crate) fn check_csrf(&self, form: &str, token: &str) -> Result<(), Problem> {
        check_csrf(&self.auth, self.binding, form, token)
    }

    /// Signs a person in. The browser gets a session with a new id, and with it a new binding.
    pub(crate) async fn begin(&mut self, user: User, method: SignInMethod) -> Result<(), Problem> {
        self.signed_in = Some(super::sign_in(&self.auth, &self.session, user, method).await?);
        if let Some(id) = self.session.id() {
            self.binding = Binding::of("session", &id.to_string());
        }
        self.cookie = Some(http_kit::cookies::clear(&self.auth.origins.cookie(VISITOR_COOKIE)));
        Ok(())
    }

    /// Ends the session: in the store now, in the browser with this answer.
    pub(crate) async fn end(&mut self) -> Result<(), Problem> {
        self.signed_in = None;
        super::sign_out(&self.session).await
    }

    /// The answer, with the visitor's cookie where it has to change. Needed wherever the binding or a token
    /// of this browser was given away, and after [`begin`](Self::begin).
    pub(crate) fn remember(self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        if let Some(cookie) = self.cookie {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
    }
}

fn csrf(auth: &Auth, binding: Binding, form: &str) -> String {
    auth.csrf.token(&[b"form", binding.as_bytes(), form.as_bytes()], auth.clock.now() + FORM)
}

fn check_csrf(auth: &Auth, binding: Binding, form: &str, token: &str) -> Result<(), Problem> {
    if auth.csrf.check(token, &[b"form", binding.as_bytes(), form.as_bytes()], auth.clock.now()) {
        return Ok(());
    }
    Err(Problem::bad_request(
        "This form is out of date, or was opened in another browser. Open the page again and repeat.",
    ))
}

#[derive(Debug, thiserror::Error)]
#[error("the route has no session layer")]
struct NoLayer;

impl<S: Send + Sync> FromRequestParts<S> for BrowserSession
where
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let auth = Auth::from_ref(state);
        let session = parts.extensions.get::<Session>().cloned().ok_or_else(|| Problem::internal(NoLayer))?;
        let signed_in = super::signed_in(&auth, &session).await?;
        let own = session.id().filter(|_| signed_in.is_some());
        let (binding, cookie) = own.map_or_else(
            || {
                let (binding, cookie) = super::visitor(&auth, &parts.headers);
                (binding, Some(cookie))
            },
            |id| (Binding::of("session", &id.to_string()), None),
        );
        Ok(Self { signed_in, binding, cookie, session, auth })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Browser
where
    Auth: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        let BrowserSession { signed_in, binding, auth, .. } = BrowserSession::from_request_parts(parts, state).await?;
        Ok(signed_in.map(|signed_in| Self { signed_in, binding, auth }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Browser
where
    Auth: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let found = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await;
        found.map_err(Problem::into_response)?.ok_or_else(|| to_sign_in(parts))
    }
}

/// To sign-in, and from there back here; after a form, to the start, since what was sent is lost.
fn to_sign_in(parts: &Parts) -> Response {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let back = uri.path_and_query().filter(|_| parts.method == Method::GET).map_or("/", |path| path.as_str());
    Redirect::to(&signin::login_path(back)).into_response()
}
