use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

const ANSWER: [(HeaderName, &str); 2] =
    [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::ACCESS_CONTROL_EXPOSE_HEADERS, "WWW-Authenticate")];
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, MCP-Protocol-Version"),
    (header::ACCESS_CONTROL_MAX_AGE, "86400"),
];

/// Lets pages of any origin use an endpoint without credentials: for what programs use, never for pages.
/// Clients that run in a browser need it.
pub(crate) async fn any_origin(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        let mut preflight = StatusCode::NO_CONTENT.into_response();
        for (name, value) in PREFLIGHT {
            preflight.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        preflight
    } else {
        next.run(request).await
    };
    for (name, value) in ANSWER {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
