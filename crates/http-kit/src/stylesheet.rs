//! The stylesheet of all pages, compiled in. It lives here because every crate with pages, and
//! [`Problem`](crate::Problem) itself, needs its address; its routes belong on every origin that serves pages.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{Router, http::header, response::IntoResponse, routing::get};
use sha2::{Digest, Sha256};

const CSS: &str = include_str!("../../../templates/static/portico.css");
const ICON: &str = include_str!("../../../templates/static/portico.svg");

/// The path names the content, so a browser may keep it for good and a new build is never shown with an
/// old look.
static HREF: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(CSS.as_bytes());
    let mut path = String::from("/static/portico.");
    for byte in &digest[..8] {
        write!(path, "{byte:02x}").expect("writing to a string cannot fail");
    }
    path + ".css"
});

/// The stylesheet's path: `/static/portico.{hash}.css`. The base template calls it.
pub fn href() -> &'static str {
    &HREF
}

/// The stylesheet and the icon.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(href(), get(css)).route("/static/portico.svg", get(icon))
}

async fn css() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, CSS)
}

async fn icon() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, ICON)
}
