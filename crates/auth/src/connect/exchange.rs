//! The code for tokens, and the differences between providers in how they answer.

use std::{fmt, time::Duration};

use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_kit::outbound::{Limits, Outbound, OutboundError};
use model::Secret;
use oauth2::{
    AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet, ExtraTokenFields,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RequestTokenError, StandardRevocableToken,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use storage::repo::Connection;

use super::{error, error::ConnectError, provider::OauthEndpoints, redirect_uri};
use crate::Auth;

/// What an answer of a provider may cost.
const LIMITS: Limits = Limits { total: Duration::from_secs(10), body: 1 << 20 };
/// How the token endpoint is called in messages.
const TOKEN: &str = "token endpoint";

pub(super) type Oauth = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The field that OpenID Connect adds to the token answer.
#[derive(Serialize, Deserialize)]
pub(super) struct IdToken {
    #[serde(default)]
    id_token: Option<String>,
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdToken")
    }
}

impl ExtraTokenFields for IdToken {}

/// What a code was exchanged for.
pub(super) struct Tokens {
    pub(super) access: Secret,
    pub(super) id: Option<Secret>,
}

/// Us, as an OAuth client of a connection.
pub(super) fn client(auth: &Auth, connection: &Connection, at: &OauthEndpoints) -> Result<Oauth, ConnectError> {
    let redirect = RedirectUrl::new(redirect_uri(auth, connection))
        .map_err(|_| ConnectError::Misconfigured("its callback is not a URL"))?;
    let client = Client::new(ClientId::new(connection.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(at.authorize.clone()))
        .set_token_uri(TokenUrl::from_url(at.token.clone()))
        .set_auth_type(at.auth.clone())
        .set_redirect_uri(redirect);
    let secret = connection.client_secret.as_ref();
    Ok(match secret.ok_or(ConnectError::Misconfigured("its client secret does not open"))?.expose() {
        "" => client,
        secret => client.set_client_secret(ClientSecret::new(secret.to_owned())),
    })
}

/// Exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
pub(super) async fn redeem(
    auth: &Auth,
    connection: &Connection,
    at: &OauthEndpoints,
    code: &str,
    verifier: &str,
) -> Result<Tokens, ConnectError> {
    let outbound = auth.outbound.clone();
    let send = move |request: HttpRequest| {
        let outbound = outbound.clone();
        async move {
            let answer = outbound.fetch(request.map(Bytes::from), LIMITS).await?;
            Ok::<HttpResponse, OutboundError>(plain(&answer))
        }
    };
    let answer = client(auth, connection, at)?
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
        .request_async(&send)
        .await;
    let answer = answer.map_err(|failure| match failure {
        RequestTokenError::ServerResponse(refusal) => {
            ConnectError::Refused(error::code(refusal.error().as_ref()).to_owned())
        }
        RequestTokenError::Request(source) => ConnectError::Unreachable(TOKEN, source),
        // The source of a parse error may hold the answer itself, and that is tokens: it goes nowhere.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ConnectError::Malformed(TOKEN, "its answer is no token answer")
        }
    })?;
    let id = answer.extra_fields().id_token.clone().map(Secret::new);
    Ok(Tokens { access: Secret::new(answer.access_token().secret().clone()), id })
}

/// A token answer as the RFC has it, from what providers send: forms instead of JSON, errors of status 200,
/// numbers in quotes, commas between scopes, no `token_type`.
fn plain(answer: &Response<Bytes>) -> HttpResponse {
    let mut fields = serde_json::from_slice::<Map<String, Value>>(answer.body()).unwrap_or_else(|_| {
        url::form_urlencoded::parse(answer.body()).map(|(key, value)| (key.into_owned(), value.into())).collect()
    });
    fields.retain(|_, value| !value.is_null());
    let failed = fields.get("error").is_some_and(Value::is_string);
    let status = match answer.status() {
        _ if failed => StatusCode::BAD_REQUEST,
        status if status.is_success() => StatusCode::OK,
        status => status,
    };
    fields.entry("token_type").or_insert_with(|| "bearer".into());
    if let Some(expires) = fields.remove("expires_in")
        && let Some(seconds) = expires.as_u64().or_else(|| expires.as_str()?.parse().ok())
    {
        fields.insert("expires_in".to_owned(), seconds.into());
    }
    if let Some(Value::String(scope)) = fields.get_mut("scope") {
        *scope = scope.replace(',', " ");
    }
    let body = serde_json::to_vec(&fields).expect("a map of JSON values is JSON");
    let mut plain = Response::new(body);
    *plain.status_mut() = status;
    plain.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    plain
}

/// Fetches JSON. `what` is how the address is called in messages.
pub(super) async fn get_json<T: DeserializeOwned>(
    outbound: &Outbound,
    url: &str,
    bearer: Option<&Secret>,
    what: &'static str,
) -> Result<T, ConnectError> {
    let mut request = Request::get(url).header(header::ACCEPT, "application/json");
    if let Some(token) = bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| ConnectError::Malformed(TOKEN, "its token cannot be sent"))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(Bytes::new()).map_err(|_| ConnectError::Malformed(what, "its address is no URL"))?;
    let answer = outbound.fetch(request, LIMITS).await.map_err(|source| ConnectError::Unreachable(what, source))?;
    if answer.status() != StatusCode::OK {
        return Err(ConnectError::Status(what, answer.status()));
    }
    serde_json::from_slice(answer.body()).map_err(|_| ConnectError::Malformed(what, "it is not the JSON it should be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_of(status: u16, body: &str) -> (u16, Value) {
        let mut answer = Response::new(Bytes::from(body.to_owned()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        let plain = plain(&answer);
        (plain.status().as_u16(), serde_json::from_slice(plain.body()).unwrap())
    }

    #[test]
    fn odd_answers_become_plain_ones() {
        use serde_json::json;
        let form = "access_token=gho_1&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer";
        let expected = json!({"access_token": "gho_1", "scope": "read:user user:email", "token_type": "bearer"});
        assert_eq!(plain_of(200, form), (200, expected));
        let (status, fields) = plain_of(200, r#"{"error":"bad_verification_code","error_description":"x"}"#);
        assert_eq!((status, &fields["error"]), (400, &json!("bad_verification_code")));
        assert_eq!(plain_of(200, "error=bad_verification_code").0, 400);
        let (status, fields) = plain_of(201, r#"{"access_token":"a","expires_in":"3600","refresh_token":null}"#);
        assert_eq!((status, fields), (200, json!({"access_token": "a", "token_type": "bearer", "expires_in": 3600})));
        assert_eq!(plain_of(200, r#"{"access_token":"a","expires_in":"soon"}"#).1.get("expires_in"), None);
        assert_eq!(plain_of(503, "<html>").0, 503);
    }
}
