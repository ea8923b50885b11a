use std::{borrow::Cow, error::Error, time::Duration};

use askama::Template;
use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::RequestId;
use serde::Serialize;
use storage::StorageError;

use crate::Seldom;

/// When to try again while a store is away: about as long as one takes to start again.
pub const AWAY: Duration = Duration::from_secs(5);

/// An error on its way out: what the caller may know, and what the log gets.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    link: Option<Link>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// A way on from the page of a problem.
#[derive(Clone, Debug)]
struct Link {
    href: String,
    label: &'static str,
}

impl Problem {
    /// Any status of 400 or more, with a code for programs and a sentence for people. Neither may hold
    /// what the caller sent.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(status.is_client_error() || status.is_server_error(), "a problem is an error");
        Self { status, code, message: message.into(), retry_after: None, link: None, source: None }
    }

    /// 400: what was sent makes no sense here.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401: nobody is signed in, or the credential is wrong.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: known, and refused.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: no such thing, or nothing that this caller may know of. Always the same text.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here, or nothing that you may see.")
    }

    /// 405: not with this method.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not take that method.")
    }

    /// 409: what is there already does not go with it.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 422: understood, and not acceptable.
    pub fn unprocessable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", message)
    }

    /// 429, with `Retry-After` rounded up to seconds.
    pub fn too_many(retry_after: Duration) -> Self {
        let wait = seconds(retry_after);
        let message = format!("Too many attempts. Try again in {wait} seconds.");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 502: somebody we asked did not answer, or answered nonsense.
    pub fn bad_gateway(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", message)
    }

    /// 503, with `Retry-After`: a part of ours is away; worth trying again. Nothing is said about whether
    /// what was asked for is there, or was right.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "Something that is needed for this is not available right now. Try again shortly.";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", message);
        Self { source: Some(source.into()), retry_after: Some(AWAY), ..problem }
    }

    /// 500: a fault of ours. The caller learns nothing more.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "Something went wrong on our side. It has been written to the log.";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        Self { source: Some(source.into()), ..problem }
    }

    /// The problem, with its cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The problem, with a way on: a path of this site, or a URL that was checked.
    #[must_use]
    pub fn with_link(mut self, href: impl Into<String>, label: &'static str) -> Self {
        self.link = Some(Link { href: href.into(), label });
        self
    }

    /// The status it will have.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            // Whoever found it has logged it, once. What is read again and again is not logged again and again.
            StorageError::Damaged { logged: true, .. } => Self { source: None, ..Self::internal(error) },
            StorageError::Unavailable(_) => Self::unavailable(error),
            StorageError::Damaged { .. }
            | StorageError::Format { .. }
            | StorageError::UnknownMasterKey { .. }
            | StorageError::Taken(_)
            | StorageError::Newer(_)
            | StorageError::Missing(_)
            | StorageError::WrongMasterKey { .. } => Self::internal(error),
        }
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::internal(error)
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

/// Notes that a request was put off because something is away. That it is away is logged by who watches it, once; of
/// the requests, which anybody can send, there is a line now and then.
pub fn put_off(error: &(dyn Error + 'static)) {
    static LINES: Seldom = Seldom::new(Duration::from_secs(10));
    if let Some(unlogged) = LINES.pass() {
        tracing::warn!(error, unlogged, "a request was put off");
    } else {
        tracing::debug!(error, "a request was put off");
    }
}

/// The public part of a problem, kept on the answer so that [`problem_pages`] can make a page of it.
#[derive(Clone, Debug)]
struct Shown {
    message: Cow<'static, str>,
    link: Option<Link>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(source) = &self.source {
            let error = &**source as &(dyn Error + 'static);
            if self.status == StatusCode::SERVICE_UNAVAILABLE {
                put_off(error);
            } else if self.status.is_server_error() {
                tracing::error!(error, code = self.code, "request failed");
            } else {
                tracing::warn!(error, code = self.code, "request refused");
            }
        }
        let mut response = (self.status, Json(Body { code: self.code, message: &self.message })).into_response();
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        response.extensions_mut().insert(Shown { message: self.message, link: self.link });
        response
    }
}

#[derive(Template)]
#[template(path = "layout/problem.html")]
struct Page<'a> {
    heading: &'a str,
    message: &'a str,
    link: Option<&'a Link>,
    request: Option<RequestId>,
}

/// Answers with pages instead of JSON to those who take `text/html`, for whatever failed as a
/// [`Problem`]. Goes around all routes of pages, inside [`request_id`](crate::request_id).
pub async fn problem_pages(request: Request, next: Next) -> Response {
    let wants_page = takes_html(request.headers());
    let id = request.extensions().get::<RequestId>().copied();
    let mut response = next.run(request).await;
    let Some(shown) = response.extensions_mut().remove::<Shown>() else { return response };
    if !wants_page {
        return response;
    }
    let status = response.status();
    let page = Page { heading: heading(status), message: &shown.message, link: shown.link.as_ref(), request: id };
    match page.render() {
        Ok(page) => {
            let mut answer = (status, Html(page)).into_response();
            if let Some(wait) = response.headers_mut().remove(header::RETRY_AFTER) {
                answer.headers_mut().insert(header::RETRY_AFTER, wait);
            }
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                answer.headers_mut().append(header::SET_COOKIE, cookie.clone());
            }
            answer
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn Error, "the page of a problem cannot be rendered");
            response
        }
    }
}

/// Whether a request's `Accept` names `text/html`, which browsers do on navigation and programs do not.
fn takes_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/html")))
}

/// What a person reads first.
fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "That did not work",
        StatusCode::UNAUTHORIZED => "Sign in first",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::CONFLICT => "Already there",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        status if status.is_server_error() => "Something went wrong",
        _ => "That did not work",
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(accept: &str, problem: fn() -> Problem) -> (Response, String) {
        let app = Router::new()
            .route("/", get(async move || problem().into_response()))
            .layer(middleware::from_fn(problem_pages));
        let request = Request::get("/").header(header::ACCEPT, accept).body(axum::body::Body::empty()).unwrap();
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let text = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (Response::from_parts(parts, axum::body::Body::empty()), String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn browsers_get_a_page_and_programs_json() {
        let (json, text) = answer("*/*", || Problem::too_many(Duration::from_millis(1500))).await;
        assert_eq!(json.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(json.headers()[header::RETRY_AFTER], "2");
        let expected = r#"{"code":"too_many_requests","message":"Too many attempts. Try again in 2 seconds."}"#;
        assert_eq!(text, expected);

        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        let (page, text) = answer(browser, || Problem::too_many(Duration::from_millis(1500))).await;
        assert_eq!(page.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(page.headers()[header::RETRY_AFTER], "2");
        assert!(text.contains("<h1>Too many attempts</h1>"), "{text}");
    }

    #[tokio::test]
    async fn what_is_away_comes_back() {
        for (accept, expected) in
            [("*/*", "\"temporarily_unavailable\""), ("text/html", "<h1>Not available right now</h1>")]
        {
            let away = || StorageError::unavailable("the reason").into();
            let (answer, text) = answer(accept, away).await;
            assert_eq!(
                (answer.status(), &answer.headers()[header::RETRY_AFTER]),
                (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(5))
            );
            assert!(text.contains(expected) && !text.contains("the reason"), "{text}");
        }
    }

    #[tokio::test]
    async fn causes_stay_inside_and_links_are_escaped() {
        let (_, text) = answer("text/html", || {
            Problem::internal("the secret cause").with_link("/login?a=\"<b>", "Back to sign-in")
        })
        .await;
        assert!(!text.contains("secret cause") && !text.contains("<b>"), "{text}");
        assert!(text.contains("Back to sign-in"), "{text}");
    }
}
