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
    /// Its keys, here.
    pub jwks: Option<serde_json::Value>,
    /// Its keys, there.
    pub jwks_uri: Option<String>,
    /// Its picture.
    pub logo_uri: Option<String>,
    /// Its terms.
    pub tos_uri: Option<String>,
    /// What it does with data.
    pub policy_uri: Option<String>,
    /// Whom to ask.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// What software it is.
    pub software_id: Option<String>,
    /// Of which version.
    pub software_version: Option<String>,
    /// Signed claims about it; refused, since nobody is trusted to sign them.
    pub software_statement: Option<serde_json::Value>,
}

/// What a change of a registration carries besides (RFC 7592 §2.2).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RegistrationManagement {
    /// Which client; compulsory.
    pub client_id: Option<String>,
    /// Its present secret, if it has one; it cannot choose another.
    pub client_secret: Option<String>,
    /// Ours to say; refused.
    pub registration_access_token: Option<serde_json::Value>,
    /// Ours to say; refused.
    pub registration_client_uri: Option<serde_json::Value>,
    /// Ours to say; refused.
    pub client_secret_expires_at: Option<serde_json::Value>,
    /// Ours to say; refused.
    pub client_id_issued_at: Option<serde_json::Value>,
}

impl RegistrationManagement {
    /// Whether it says something that only we may.
    pub fn oversteps(&self) -> bool {
        self.registration_access_token.is_some()
            || self.registration_client_uri.is_some()
            || self.client_secret_expires_at.is_some()
            || self.client_id_issued_at.is_some()
    }
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
    /// Its keys, here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Its keys, there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// What it does with data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// What software it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Of which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// What manages the registration (RFC 7592 §3), shown when it is new.
    pub registration_access_token: String,
    /// Where it is managed.
    pub registration_client_uri: String,
}
