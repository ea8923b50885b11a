use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, header};

use crate::Origins;

/// What every page says to the browser. No `sandbox`: without `allow-scripts` it also switches off
/// `<meta http-equiv=refresh>` (HTML §7.1.5, "sandboxed automatic features"), which the way to an identity
/// provider needs. `Referrer-Policy` is `same-origin` and not `no-referrer`, because with the latter
/// browsers send `Origin: null` along with our own forms (Fetch §3.2, "append a request Origin header").
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'; require-trusted-types-for 'script'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Puts the headers of pages on an answer; one that the handler set itself stays. `HSTS` on https only.
pub async fn page_headers(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if origins.https() {
        let value = HeaderValue::from_static("max-age=63072000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_handler_may_say_otherwise() {
        let origins = Arc::new(Origins::single("https://a.example").unwrap());
        let app = Router::new()
            .route("/", get(async || ([(header::CACHE_CONTROL, "max-age=60")], "style")))
            .layer(middleware::from_fn_with_state(origins, page_headers));
        let answer = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "max-age=60");
        assert_eq!(answer.headers()[header::X_FRAME_OPTIONS], "DENY");
        assert!(answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
