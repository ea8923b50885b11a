use bytes::Bytes;
use http::{Response, StatusCode, header};

/// An OAuth error code with its meaning on each path (RFC 6749 §4.1.2.1 and §5.2, RFC 7591 §3.2.2,
/// RFC 8707 §2, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// The client is unknown or did not prove itself.
    InvalidClient,
    /// The code or refresh token is unknown, used, expired, or another client's.
    InvalidGrant,
    /// This client may not do this.
    UnauthorizedClient,
    /// No such grant type here.
    UnsupportedGrantType,
    /// No such response type here.
    UnsupportedResponseType,
    /// A scope is unknown or more than was granted.
    InvalidScope,
    /// The resource is not one of ours, or not the granted one.
    InvalidTarget,
    /// The person or we said no.
    AccessDenied,
    /// `prompt=none`, and nobody is signed in.
    LoginRequired,
    /// `prompt=none`, and consent is needed.
    ConsentRequired,
    /// Request objects are not understood.
    RequestNotSupported,
    /// Request URIs are not understood.
    RequestUriNotSupported,
    /// Registration: a redirect URI is not allowed.
    InvalidRedirectUri,
    /// Registration: some other field is not allowed.
    InvalidClientMetadata,
    /// Registration: no software statements are taken.
    InvalidSoftwareStatement,
    /// Resource: the token is expired, revoked, malformed or for another resource.
    InvalidToken,
    /// Resource: the token lacks a scope.
    InsufficientScope,
    /// A fault of ours.
    ServerError,
    /// Something of ours is away; try again.
    TemporarilyUnavailable,
    /// Too many requests; not in an RFC, clients see the status.
    SlowDown,
    /// The body is too large.
    TooLarge,
}

impl ErrorCode {
    /// The code as it stands in bodies and redirects.
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The status with which an endpoint answers it. `invalid_grant` is 400 whatever others do: clients
    /// decide by the code, and 401 is for `invalid_client` alone.
    pub const fn status(self) -> StatusCode {
        self.parts().1
    }

    const fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidRequest => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::InvalidClient => ("invalid_client", StatusCode::UNAUTHORIZED),
            Self::InvalidGrant => ("invalid_grant", StatusCode::BAD_REQUEST),
            Self::UnauthorizedClient => ("unauthorized_client", StatusCode::BAD_REQUEST),
            Self::UnsupportedGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            Self::UnsupportedResponseType => ("unsupported_response_type", StatusCode::BAD_REQUEST),
            Self::InvalidScope => ("invalid_scope", StatusCode::BAD_REQUEST),
            Self::InvalidTarget => ("invalid_target", StatusCode::BAD_REQUEST),
            Self::AccessDenied => ("access_denied", StatusCode::FORBIDDEN),
            Self::LoginRequired => ("login_required", StatusCode::BAD_REQUEST),
            Self::ConsentRequired => ("consent_required", StatusCode::BAD_REQUEST),
            Self::RequestNotSupported => ("request_not_supported", StatusCode::BAD_REQUEST),
            Self::RequestUriNotSupported => ("request_uri_not_supported", StatusCode::BAD_REQUEST),
            Self::InvalidRedirectUri => ("invalid_redirect_uri", StatusCode::BAD_REQUEST),
            Self::InvalidClientMetadata => ("invalid_client_metadata", StatusCode::BAD_REQUEST),
            Self::InvalidSoftwareStatement => ("invalid_software_statement", StatusCode::BAD_REQUEST),
            Self::InvalidToken => ("invalid_token", StatusCode::UNAUTHORIZED),
            Self::InsufficientScope => ("insufficient_scope", StatusCode::FORBIDDEN),
            Self::ServerError => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
            Self::TemporarilyUnavailable => ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::SlowDown => ("slow_down", StatusCode::TOO_MANY_REQUESTS),
            Self::TooLarge => ("invalid_request", StatusCode::PAYLOAD_TOO_LARGE),
        }
    }
}

/// An error as an endpoint answers it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct Error {
    /// The code.
    pub code: ErrorCode,
    /// What is wrong, for the client's developer. Text of ours only, never of the request.
    pub description: &'static str,
}

impl Error {
    /// An error.
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description }
    }

    /// The answer with a JSON body (RFC 6749 §5.2). Never cached.
    pub fn response(&self) -> Response<Bytes> {
        let body = serde_json::json!({ "error": self.code.as_str(), "error_description": legal(self.description) });
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, http::HeaderValue::from_static("no-cache"));
        response
    }
}

/// The text with what RFC 6749 §5.2 forbids in a description (quotes, backslashes, controls, anything
/// that is not ASCII) replaced.
pub(super) fn legal(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e') { c } else { '.' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bad_client_or_token_is_401() {
        assert_eq!(ErrorCode::InvalidGrant.status(), StatusCode::BAD_REQUEST);
        assert_eq!(ErrorCode::InvalidClient.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(ErrorCode::TemporarilyUnavailable.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn an_answer_is_json_that_nobody_keeps() {
        let response = Error::new(ErrorCode::InvalidGrant, "the \"code\" is used").response();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.body(), r#"{"error":"invalid_grant","error_description":"the .code. is used"}"#.as_bytes());
    }
}
