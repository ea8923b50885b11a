use serde_json::{Map, Value};

/// The most keys of one client.
const MAX_KEYS: usize = 5;
/// The members of a JWK that are nobody's but the holder's (RFC 7518 §6), and those of symmetric keys.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a JWK set is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// It is not `{"keys": [ … ]}` with objects in it.
    #[error("the keys are not a JWK set")]
    Shape,
    /// None, or too many.
    #[error("there must be 1 to 5 keys")]
    Number,
    /// A private or symmetric key: whoever reads it could be the client.
    #[error("the keys must be public ones")]
    Private,
    /// A kind of key that nothing is signed with here.
    #[error("the keys must be of kind EC, RSA or OKP")]
    Kind,
}

/// Holds a JWK set (RFC 7517 §5) to be a few public keys of asymmetric kinds. Whether they verify anything
/// shows when they are used.
pub fn check_public_keys(jwks: &Value) -> Result<(), InvalidKeys> {
    let keys = jwks.get("keys").and_then(Value::as_array).ok_or(InvalidKeys::Shape)?;
    if !(1..=MAX_KEYS).contains(&keys.len()) {
        return Err(InvalidKeys::Number);
    }
    keys.iter().try_for_each(|key| check(key.as_object().ok_or(InvalidKeys::Shape)?))
}

fn check(key: &Map<String, Value>) -> Result<(), InvalidKeys> {
    if PRIVATE.iter().any(|member| key.contains_key(*member)) {
        return Err(InvalidKeys::Private);
    }
    match key.get("kty").and_then(Value::as_str) {
        Some("EC" | "RSA" | "OKP") => Ok(()),
        Some("oct") => Err(InvalidKeys::Private),
        _ => Err(InvalidKeys::Kind),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_public_keys_pass() {
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "1" });
        assert_eq!(check_public_keys(&json!({ "keys": [ec, ec] })), Ok(()));
        for member in PRIVATE {
            let mut key = ec.clone();
            key[member] = "AQAB".into();
            assert_eq!(check_public_keys(&json!({ "keys": [ec, key] })), Err(InvalidKeys::Private), "{member}");
        }
        for (jwks, error) in [
            (json!({ "keys": [] }), InvalidKeys::Number),
            (json!({ "keys": vec![&ec; 6] }), InvalidKeys::Number),
            (json!({ "keys": [1] }), InvalidKeys::Shape),
            (json!([ec]), InvalidKeys::Shape),
            (json!({ "keys": [{ "kty": "oct" }] }), InvalidKeys::Private),
            (json!({ "keys": [{ "kty": "??" }] }), InvalidKeys::Kind),
            (json!({ "keys": [{}] }), InvalidKeys::Kind),
        ] {
            assert_eq!(check_public_keys(&jwks), Err(error), "{jwks}");
        }
    }
}
