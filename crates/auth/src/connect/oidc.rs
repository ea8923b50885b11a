//! OpenID Connect: who somebody is, a signed token says.

use model::Secret;
use oauth2::AuthType;
use registry::Claims;
use serde::Deserialize;
use serde_json::Value;
use storage::repo::Connection;

use super::{
    error::ConnectError,
    exchange::{Tokens, get_json},
    id_token::{self, Expected, IdClaims, Rejected},
    issuer::{Issuer, Metadata},
    provider::OauthEndpoints,
};
use crate::Auth;

/// Google's issuer.
pub(super) const GOOGLE: &str = "https://accounts.google.com";

/// Where an issuer is used. We prove ourselves with Basic unless the issuer wants the secret in the form.
pub(super) fn endpoints(metadata: &Metadata) -> OauthEndpoints {
    let supports = |method: &str| metadata.auth_methods.as_ref().is_some_and(|all| all.iter().any(|one| one == method));
    let in_form = supports("client_secret_post") && !supports("client_secret_basic");
    OauthEndpoints {
        authorize: metadata.authorize.clone(),
        token: metadata.token.clone(),
        auth: if in_form { AuthType::RequestBody } else { AuthType::BasicAuth },
    }
}

/// Who the tokens are about.
pub(super) async fn identity(
    auth: &Auth,
    connection: &Connection,
    issuer: &Issuer,
    nonce: &str,
    tokens: &Tokens,
) -> Result<Claims, ConnectError> {
    let token = tokens.id.as_ref().ok_or(ConnectError::Untrusted("there is no identity token"))?;
    let metadata = &issuer.metadata;
    let expected = Expected {
        issuer: &metadata.issuer,
        client_id: &connection.client_id,
        nonce,
        access_token: &tokens.access,
        algorithms: metadata.algorithms.as_deref(),
        now: auth.clock.now(),
    };
    let keys = issuer.keys(&auth.outbound, false).await?;
    let mut claims = match id_token::verify(token, &keys, &expected) {
        // The issuer may have changed its keys since we looked.
        Err(Rejected::UnknownKey) => {
            let keys = issuer.keys(&auth.outbound, true).await?;
            id_token::verify(token, &keys, &expected)
        }
        verified => verified,
    }
    .map_err(|rejected| ConnectError::Untrusted(rejected.reason()))?;
    if let Some(userinfo) = &metadata.userinfo
        && (claims.name.is_none() || claims.email.is_none())
    {
        complete(&mut claims, auth, userinfo.as_str(), &tokens.access).await?;
    }
    Ok(Claims {
        email_verified: claims.email.is_some() && is_true(claims.email_verified.as_ref()),
        subject: claims.sub,
        name: claims.name.or(claims.preferred_username),
        email: claims.email,
    })
}

/// What the userinfo endpoint says (OpenID Connect Core §5.3.2).
#[derive(Deserialize)]
struct Userinfo {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
}

/// Adds what the token left out. An endpoint that is away costs a name, not the sign-in; one that speaks
/// of somebody else ends it.
async fn complete(claims: &mut IdClaims, auth: &Auth, url: &str, token: &Secret) -> Result<(), ConnectError> {
    let more: Userinfo = match get_json(&auth.outbound, url, Some(token), "userinfo endpoint").await {
        Ok(more) => more,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a person is signed in without name or address");
            return Ok(());
        }
    };
    if more.sub != claims.sub {
        return Err(ConnectError::Untrusted("the userinfo endpoint speaks of somebody else"));
    }
    claims.name = claims.name.take().or(more.name);
    claims.preferred_username = claims.preferred_username.take().or(more.preferred_username);
    if claims.email.is_none() {
        // The address and whether it was checked come from one place.
        (claims.email, claims.email_verified) = (more.email, more.email_verified);
    }
    Ok(())
}

/// Some providers write `"true"`.
fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value == &Value::Bool(true) || value == "true")
}
