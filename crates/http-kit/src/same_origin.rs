use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{Method, header};

use crate::{Origins, Problem};

/// Lets a write (any method but GET, HEAD and OPTIONS) through only with an `Origin` that is, byte for
/// byte, one of our pages' origins. Absent and `null` are refused: every browser that can sign in here
/// sends it. For routes of pages; OAuth's token endpoint and MCP have no cookies and need none of this.
pub async fn same_origin_guard(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) || allowed(&origins, &request) {
        return next.run(request).await;
    }
    Problem::bad_request("This form was not sent from a page of this site. Open the page again and repeat.")
        .into_response()
}

/// Whether there is exactly one `Origin`, and it is ours.
fn allowed(origins: &Origins, request: &Request) -> bool {
    let mut sent = request.headers().get_all(header::ORIGIN).into_iter();
    match (sent.next(), sent.next()) {
        (Some(origin), None) => origin.to_str().is_ok_and(|origin| origins.has_pages(origin)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::any};
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(method: Method, origins: &[&str]) -> StatusCode {
        let ours =
            Arc::new(Origins::new("https://auth.example", "https://mcp.example", "https://app.example").unwrap());
        let app = Router::new()
            .route("/", any(async || "done"))
            .layer(middleware::from_fn_with_state(ours, same_origin_guard));
        let mut request = http::Request::builder().method(method).uri("/");
        for origin in origins {
            request = request.header(header::ORIGIN, *origin);
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn writes_need_an_exact_origin() {
        assert_eq!(status(Method::GET, &[]).await, StatusCode::OK);
        assert_eq!(status(Method::POST, &["https://auth.example"]).await, StatusCode::OK);
        assert_eq!(status(Method::DELETE, &["https://app.example"]).await, StatusCode::OK);
        for bad in [
            &[][..],
            &["null"],
            &["https://mcp.example"],
            &["https://auth.example.evil"],
            &["http://auth.example"],
            &["https://auth.example/"],
            &["https://auth.example", "https://auth.example"],
        ] {
            assert_eq!(status(Method::POST, bad).await, StatusCode::BAD_REQUEST, "{bad:?}");
        }
    }
}
