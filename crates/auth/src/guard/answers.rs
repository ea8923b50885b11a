use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use model::{ResourcePath, ScopeSet};
use protocol::oauth::{BearerChallenge, Error, ErrorCode};

use super::Refusal;

/// The guard's answers to requests that it does not let through.
#[derive(Debug)]
pub(super) struct Answers {
    /// Where resources' metadata is, without the resource's path.
    metadata: String,
    /// What a challenge asks for.
    scope: String,
}

impl Answers {
    pub(super) fn new(origin: &str) -> Self {
        let metadata = format!("{origin}{}", crate::documents::RESOURCE_PREFIX);
        Self { metadata, scope: ScopeSet::challenge().to_string() }
    }

    fn challenge(&self, path: &ResourcePath, scope: &str) -> BearerChallenge {
        BearerChallenge::new(&format!("{}{path}", self.metadata), scope)
    }

    pub(super) fn refuse(&self, path: &ResourcePath, refusal: Refusal) -> Response<Bytes> {
        match refusal {
            Refusal::NoToken => {
                let text = br#"{"code":"unauthorized","message":"This server needs authorization."}"#;
                let response = json(StatusCode::UNAUTHORIZED, Bytes::from_static(text));
                challenged(response, &self.challenge(path, &self.scope))
            }
            Refusal::Malformed(why) => Error::new(ErrorCode::InvalidRequest, why).response(),
            Refusal::BadToken(why) => {
                let error = Error::new(ErrorCode::InvalidToken, why);
                let challenge = self.challenge(path, &self.scope).error(error.code, why);
                challenged(error.response(), &challenge)
            }
            // No challenge: another token would not help, and clients would go round in circles.
            Refusal::NotAllowed => {
                let text = br#"{"code":"forbidden","message":"You may not use this server."}"#;
                json(StatusCode::FORBIDDEN, Bytes::from_static(text))
            }
        }
    }

    pub(super) fn insufficient_scope(&self, path: &ResourcePath, needed: &str) -> Response<Bytes> {
        let error = Error::new(ErrorCode::InsufficientScope, "the token does not cover this operation");
        let challenge = self.challenge(path, needed).error(error.code, error.description);
        challenged(error.response(), &challenge)
    }
}

fn json(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn challenged(mut response: Response<Bytes>, challenge: &BearerChallenge) -> Response<Bytes> {
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.header());
    response
}
