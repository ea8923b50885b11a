//! What can be wrong with an authorization request, and what is answered: all of it, in one place.

use protocol::oauth::ErrorCode;

/// Faults of a request whose client or redirect URI is not known to be right. Pages of ours with nothing of the
/// request on them: there is nobody to send an error to (RFC 6749 §4.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    Repeated,
    Malformed,
    TooLong,
    NoClient,
    UnknownClient,
    Redirect,
    OurOwn,
    /// With status 403.
    NotAdmitted,
}

impl Stray {
    /// What the page says, with status 400 unless its variant has another.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Repeated => "The application's request has a parameter twice.",
            Self::Malformed => "The application's request is malformed.",
            Self::TooLong => "The application's request is too long.",
            Self::NoClient => "The application did not say who it is.",
            Self::UnknownClient => {
                "This application is not known here, or its registration has expired. Let it connect anew."
            }
            Self::Redirect => "The application wants the answer at an address that it has not registered.",
            Self::OurOwn => "The application wants the answer at an address of this site.",
            Self::NotAdmitted => {
                "This application is not one that may be used here. Whoever administers the server decides that."
            }
        }
    }
}

/// Faults of a request whose client and redirect URI are good. Pages with status 400 and a link that takes the error
/// to the client, and never a redirect: who has done nothing yet is sent nowhere (RFC 9700 §4.11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    RequestObject,
    RequestUri,
    NoResponseType,
    ResponseType,
    ResponseMode,
    State,
    NoChallenge,
    ChallengeMethod,
    Challenge,
    Resource,
    OtherIssuer,
    Prompt,
    MaxAge,
    Scope,
    NoScope,
    NobodySignedIn,
    NotAgreed,
}

impl Fault {
    /// The code and the description that the client gets.
    pub(super) const fn answer(self) -> (ErrorCode, &'static str) {
        use ErrorCode as E;
        match self {
            Self::RequestObject => (E::RequestNotSupported, "request objects are not supported"),
            Self::RequestUri => (E::RequestUriNotSupported, "request URIs are not supported"),
            Self::NoResponseType => (E::InvalidRequest, "the response_type is missing"),
            Self::ResponseType => (E::UnsupportedResponseType, "the response_type must be code"),
            Self::ResponseMode => (E::InvalidRequest, "the response_mode must be query"),
            Self::State => (E::InvalidRequest, "the state is longer than 4096 bytes"),
            Self::NoChallenge => (E::InvalidRequest, "the code_challenge is missing"),
            Self::ChallengeMethod => (E::InvalidRequest, "the code_challenge_method must be S256"),
            Self::Challenge => (E::InvalidRequest, "the code_challenge is not one of S256"),
            Self::Resource => (E::InvalidTarget, "the resource is not one of this installation"),
            Self::OtherIssuer => (E::InvalidTarget, "the resource is not one of this issuer"),
            Self::Prompt => (E::InvalidRequest, "the prompt is not understood"),
            Self::MaxAge => (E::InvalidRequest, "the max_age is not a number of seconds"),
            Self::Scope => (E::InvalidScope, "the scope is malformed"),
            Self::NoScope => (E::InvalidScope, "none of the scopes can be granted"),
            Self::NobodySignedIn => (E::LoginRequired, "nobody is signed in"),
            Self::NotAgreed => (E::ConsentRequired, "a person has to agree"),
        }
    }
}
