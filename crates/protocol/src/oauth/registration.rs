use serde::{Deserialize, Serialize};

/// What a client says about itself when it registers (RFC 7591 §2). Members that are not here are
/// dropped. Values are claims: nothing in it is to be believed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RegistrationRequest {
    /// Where answers may go.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// How it wants to prove itself.
    pub token_endpoint_auth_method: Option<String>,
    /// What it wants to redeem.
    pub grant_types: Option<Vec<String>>,
    /// `code`, if it says.
    pub response_types: Option<Vec<String>>,
    /// What it calls itself.
    pub client_name: Option<String>,
    /// Its page.
    pub client_uri: Option<String>,
    /// The most it wants to ask for.
    pub scope: Option<String>,
    /// `web` or `native` (OpenID Connect Registration §2).
    pub application_type: Option<String>,
    /// Signed claims about it; refused, since nobody is trusted to sign them.
    pub software_statement: Option<serde_json::Value>,
}

/// What was registered (RFC 7591 §3.2.1).
#[derive(Clone, Debug, Serialize)]
pub struct RegistrationResponse {
    /// Its id.
    pub client_id: String,
    /// Since when, in seconds since the Unix epoch.
    pub client_id_issued_at: i64,
    /// Its secret, shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// 0: the secret does not expire by itself. Only with a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Where answers may go.
    pub redirect_uris: Vec<String>,
    /// How it proves itself.
    pub token_endpoint_auth_method: &'static str,
    /// What it may redeem.
    pub grant_types: Vec<&'static str>,
    /// `code`.
    pub response_types: Vec<&'static str>,
    /// The most it may ask for.
    pub scope: String,
    /// Where it runs.
    pub application_type: &'static str,
}
