use serde::Serialize;

/// The authorization server's metadata (RFC 8414 §2). Invariant: it names only what works.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the document has these members")]
pub struct AuthorizationServerMetadata {
    /// The issuer, byte for byte as tokens and responses have it.
    pub issuer: String,
    /// Where a browser starts.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: String,
    /// Where the public keys are.
    pub jwks_uri: String,
    /// Where clients register themselves (RFC 7591).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// Whether clients may be metadata documents (CIMD).
    pub client_id_metadata_document_supported: bool,
    /// What can be asked for.
    pub scopes_supported: Vec<String>,
    /// `code`.
    pub response_types_supported: &'static [&'static str],
    /// `query`.
    pub response_modes_supported: &'static [&'static str],
    /// What the token endpoint redeems.
    pub grant_types_supported: &'static [&'static str],
    /// How clients may prove themselves.
    pub token_endpoint_auth_methods_supported: &'static [&'static str],
    /// `S256`; MCP clients refuse a document without it.
    pub code_challenge_methods_supported: &'static [&'static str],
    /// Responses carry `iss` (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// No request objects.
    pub request_parameter_supported: bool,
    /// No request URIs (the default would be `true`).
    pub request_uri_parameter_supported: bool,
}

impl AuthorizationServerMetadata {
    /// The document of the issuer whose endpoints are under `{issuer}/oauth/`.
    pub fn new(issuer: &str, scopes_supported: Vec<String>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: format!("{issuer}/oauth/authorize"),
            token_endpoint: format!("{issuer}/oauth/token"),
            jwks_uri: format!("{issuer}/oauth/jwks.json"),
            registration_endpoint: Some(format!("{issuer}/oauth/register")),
            client_id_metadata_document_supported: false,
            scopes_supported,
            response_types_supported: &["code"],
            response_modes_supported: &["query"],
            grant_types_supported: &["authorization_code", "refresh_token"],
            token_endpoint_auth_methods_supported: &["none", "client_secret_basic", "client_secret_post"],
            code_challenge_methods_supported: &["S256"],
            authorization_response_iss_parameter_supported: true,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
        }
    }
}

/// The same document for clients that look for OpenID Connect Discovery, with the members that its
/// readers insist on. No ID tokens are issued.
#[derive(Clone, Debug, Serialize)]
pub struct OpenIdMetadata {
    /// The document.
    #[serde(flatten)]
    pub server: AuthorizationServerMetadata,
    /// `public`.
    pub subject_types_supported: &'static [&'static str],
    /// `ES256`.
    pub id_token_signing_alg_values_supported: &'static [&'static str],
}

impl From<AuthorizationServerMetadata> for OpenIdMetadata {
    fn from(server: AuthorizationServerMetadata) -> Self {
        Self { server, subject_types_supported: &["public"], id_token_signing_alg_values_supported: &["ES256"] }
    }
}

/// A resource's metadata (RFC 9728 §2).
#[derive(Clone, Debug, Serialize)]
pub struct ProtectedResourceMetadata {
    /// The resource, byte for byte as clients use it.
    pub resource: String,
    /// What it is called: by its address, since this is said to everybody.
    pub resource_name: String,
    /// The issuers whose tokens it takes.
    pub authorization_servers: Vec<String>,
    /// What its challenges ask for; never `offline_access`.
    pub scopes_supported: Vec<String>,
    /// `header`.
    pub bearer_methods_supported: &'static [&'static str],
}

impl ProtectedResourceMetadata {
    /// The document of a resource.
    pub fn new(resource: &str, resource_name: String, issuer: &str, scopes_supported: Vec<String>) -> Self {
        Self {
            resource: resource.to_owned(),
            resource_name,
            authorization_servers: vec![issuer.to_owned()],
            scopes_supported,
            bearer_methods_supported: &["header"],
        }
    }
}
