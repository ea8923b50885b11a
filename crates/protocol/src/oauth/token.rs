use serde::{Serialize, Serializer};

use model::Secret;

/// A successful answer of the token endpoint (RFC 6749 §5.1).
#[derive(Debug, Serialize)]
pub struct TokenResponse {
    /// The access token.
    #[serde(serialize_with = "expose")]
    pub access_token: Secret,
    /// `Bearer`.
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// What the access token grants.
    pub scope: String,
    /// The refresh token, for clients that may have one.
    #[serde(serialize_with = "expose_option", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
}

fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn expose_option<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.as_ref().map_or("", Secret::expose))
}
