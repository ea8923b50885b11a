use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue};
use model::{Clock, Entropy, RequestId};

/// The answer's header with the request's id.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Where request ids come from.
#[derive(Clone, Debug)]
pub struct RequestIds {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl RequestIds {
    /// Ids of this time and randomness.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        RequestId::new(&*self.clock, &*self.entropy)
    }
}

/// Gives each request an id: a [`RequestId`] in its extensions for logs and error pages, and
/// `X-Request-Id` on the answer. An id that the caller sent is not believed.
pub async fn request_id(State(ids): State<RequestIds>, mut request: Request, next: Next) -> Response {
    let id = ids.next();
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    let value = HeaderValue::from_str(&id.to_string()).expect("an id is visible ASCII");
    response.headers_mut().insert(HEADER, value);
    response
}
