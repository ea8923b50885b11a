use axum::http::StatusCode;
use http_kit::{Problem, outbound::OutboundError};

/// An identity provider could not be used, or what it said is not acceptable. Messages hold nothing that
/// came from outside but error codes.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It did not answer, or may not be asked.
    #[error("the {0} cannot be reached")]
    Unreachable(&'static str, #[source] OutboundError),
    /// It answered with an error.
    #[error("the {0} answered {1}")]
    Status(&'static str, StatusCode),
    /// It answered something else than it should.
    #[error("the {0} is not readable: {1}")]
    Malformed(&'static str, &'static str),
    /// It refused the code (RFC 6749 §5.2).
    #[error("the token endpoint refused: {0}")]
    Refused(String),
    /// What it says about the person does not hold.
    #[error("the identity is not to be believed: {0}")]
    Untrusted(&'static str),
    /// The connection's own settings make no sense.
    #[error("the connection is not set up right: {0}")]
    Misconfigured(&'static str),
}

impl ConnectError {
    /// What the person sees: that it did not work, not why. The log has the rest.
    pub(super) fn problem(self, back: &str) -> Problem {
        let message = match &self {
            Self::Unreachable(..) | Self::Status(..) => "The identity provider did not answer as it should.",
            Self::Malformed(..) | Self::Untrusted(_) => "The identity provider's answer cannot be accepted.",
            Self::Refused(_) => "The identity provider did not confirm this sign-in. It may have taken too long.",
            Self::Misconfigured(_) => "This connection is not set up right. Tell whoever runs this installation.",
        };
        Problem::new(StatusCode::BAD_GATEWAY, "identity_provider", message)
            .caused_by(self)
            .with_link(back.to_owned(), "Try again")
    }
}

/// An error code as it may be shown and logged: a short word of the alphabet that OAuth's codes have.
pub(super) fn code(text: &str) -> &str {
    let word = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if word { text } else { "unknown" }
}
