//! Any OAuth 2.0 server. It has no identity tokens, so an address of its own says who a token is about, and the
//! connection says where in the answer that stands.

use http_kit::outbound::Outbound;
use model::Secret;
use oauth2::AuthType;
use registry::{Claims, Facts};
use serde_json::Value;
use storage::repo::Endpoints;

use super::{
    error::ConnectError,
    exchange::get_json,
    provider::{OauthEndpoints, Provider, acceptable},
};

/// Who somebody is, and where that is said: JSON pointers (RFC 6901).
#[derive(Debug)]
pub(super) struct Profile {
    /// How the server names itself in its answers (RFC 9207), if it does.
    pub(super) issuer: Option<String>,
    address: String,
    subject: String,
    name: String,
    email: String,
    email_verified: Option<String>,
}

/// The endpoints and pointers of a connection.
pub(super) fn provider(known: &Endpoints) -> Result<Provider, ConnectError> {
    let endpoint = |place: &Option<String>| {
        let text = place.as_deref().ok_or(ConnectError::Misconfigured("it has not all endpoints"))?;
        acceptable(text).ok_or(ConnectError::Misconfigured("an endpoint is neither https nor on this machine"))
    };
    let subject = known.subject.clone().ok_or(ConnectError::Misconfigured("nothing says where the subject stands"))?;
    let or = |pointer: &Option<String>, usual: &str| pointer.clone().unwrap_or_else(|| usual.to_owned());
    Ok(Provider::Oauth {
        endpoints: OauthEndpoints {
            authorize: endpoint(&known.authorize)?,
            token: endpoint(&known.token)?,
            auth: AuthType::BasicAuth,
        },
        profile: Profile {
            issuer: known.issuer.clone(),
            address: endpoint(&known.userinfo)?.into(),
            subject,
            name: or(&known.name, "/name"),
            email: or(&known.email, "/email"),
            email_verified: known.email_verified.clone(),
        },
    })
}

/// Who a token is about. Only a text or a whole number names somebody for good.
pub(super) async fn identity(outbound: &Outbound, profile: &Profile, token: &Secret) -> Result<Claims, ConnectError> {
    let said: Value = get_json(outbound, &profile.address, Some(token), "user information").await?;
    if said.get("error").is_some_and(Value::is_string) {
        return Err(ConnectError::Malformed("user information", "it is an error"));
    }
    read(profile, &said)
}

fn read(profile: &Profile, said: &Value) -> Result<Claims, ConnectError> {
    let subject = match said.pointer(&profile.subject) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        _ => return Err(ConnectError::Untrusted("the user information has no usable subject")),
    };
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
    let email = text(&profile.email).filter(|email| !email.is_empty());
    let checked = profile.email_verified.as_deref().and_then(|pointer| said.pointer(pointer));
    let email_verified = email.is_some() && checked.is_some_and(|value| value == &Value::Bool(true) || value == "true");
    let facts = Facts::of_address(email.as_deref().filter(|_| email_verified));
    Ok(Claims { subject, name: text(&profile.name), email, email_verified, facts })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(email_verified: Option<&str>) -> Profile {
        Profile {
            issuer: None,
            address: String::new(),
            subject: "/data/id".to_owned(),
            name: "/data/name".to_owned(),
            email: "/mail/0".to_owned(),
            email_verified: email_verified.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_person_is_where_the_pointers_say() {
        let said = json!({"data": {"id": 42, "name": "Ada", "sure": "true"}, "mail": ["ada@example.com"]});
        let claims = read(&profile(Some("/data/sure")), &said).unwrap();
        assert_eq!((claims.subject.as_str(), claims.name.as_deref()), ("42", Some("Ada")));
        assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("ada@example.com"), true));
        assert!(!read(&profile(None), &said).unwrap().email_verified, "nobody said so");
        assert!(read(&profile(None), &said).unwrap().facts.is_empty());
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for id in [json!(null), json!(""), json!(1.5), json!(-1), json!(true), json!({"id": 1}), json!(["a"])] {
            assert!(read(&profile(None), &json!({"data": {"id": id}})).is_err(), "{id}");
        }
        assert!(read(&profile(None), &json!([])).is_err());
    }
}
