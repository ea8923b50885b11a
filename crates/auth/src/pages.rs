//! Pages that say that something cannot be done.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::StatusCode;
use http_kit::Problem;
use protocol::oauth::ErrorCode;

#[derive(Template)]
#[template(path = "auth/error.html")]
struct Fault<'a> {
    code: &'static str,
    description: &'a str,
    url: &'a str,
}

/// The client asked for something impossible. The way back to it is a link, so that nobody is sent
/// anywhere before they did something (RFC 9700 §4.11.2).
pub(crate) fn client_fault(code: ErrorCode, description: &str, url: &str) -> Result<Response, Problem> {
    let page = Fault { code: code.as_str(), description, url }.render()?;
    Ok((StatusCode::BAD_REQUEST, Html(page)).into_response())
}
