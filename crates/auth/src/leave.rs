//! Sending a browser away from this site.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http_kit::Problem;

#[derive(Template)]
#[template(path = "auth/continue.html")]
struct Page<'a> {
    url: &'a str,
    provider: &'a str,
}

/// A page that takes the browser to an identity provider. Not a redirect: browsers hold the whole chain
/// of redirects behind a form against `form-action`, so the chain ends here.
pub(crate) fn to_provider(url: &str, provider: &str) -> Result<Response, Problem> {
    Ok(Html(Page { url, provider }.render()?).into_response())
}
