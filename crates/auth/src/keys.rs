//! Signing keys: kept sealed in the store, used from memory, replaced while everything goes on.

mod algorithm;
mod rotation;

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, jwk::Jwk};
use model::{Secret, Timestamp};
use serde::Serialize;
use storage::repo::{KeyState, SigningKey};

pub use self::{
    algorithm::SigningAlgorithm,
    rotation::{ANNOUNCED, KeyRotation, KeyRules, RotatedKey},
};
use crate::AuthError;

/// The `typ` of an access token (RFC 9068 §2.1).
pub(crate) const ACCESS_TOKEN: &str = "at+jwt";

/// A key that verifies.
pub(crate) struct Verifier {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) key: DecodingKey,
}

/// A key as the schedule of rotations looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyDates {
    pub(crate) kid: String,
    pub(crate) algorithm: String,
    pub(crate) state: KeyState,
    pub(crate) created_at: Timestamp,
    pub(crate) changed_at: Timestamp,
    pub(crate) ends_at: Option<Timestamp>,
    /// Whether this process can use it.
    pub(crate) usable: bool,
}

/// All keys of the moment, ready to use.
pub(crate) struct KeySet {
    signing: Option<(Header, EncodingKey)>,
    verifying: HashMap<String, Verifier>,
    document: Bytes,
    dates: Vec<KeyDates>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.verifying.keys()).finish()
    }
}

#[derive(Serialize)]
struct Document {
    keys: Vec<Jwk>,
}

impl KeySet {
    /// No keys: nothing can be signed, nothing verifies.
    pub(crate) fn empty() -> Self {
        let document = Bytes::from_static(br#"{"keys":[]}"#);
        Self { signing: None, verifying: HashMap::new(), document, dates: Vec::new() }
    }

    /// From what the store holds. A key that cannot be used is left out, and stops none of the others.
    pub(crate) fn new(keys: &[SigningKey]) -> Self {
        let mut set = Self::empty();
        let mut document = Document { keys: Vec::new() };
        for key in keys {
            let used = set.take(key, &mut document);
            if let Err(error) = &used {
                tracing::error!(kid = key.kid, %error, "a signing key cannot be used: `portico keys rotate-signing` helps");
            }
            set.dates.push(KeyDates {
                kid: key.kid.clone(),
                algorithm: key.algorithm.clone(),
                state: key.state,
                created_at: key.created_at,
                changed_at: key.changed_at,
                ends_at: key.ends_at,
                usable: used.is_ok(),
            });
        }
        set.document = serde_json::to_vec(&document).expect("a JWK is plain JSON").into();
        set
    }

    fn take(&mut self, key: &SigningKey, document: &mut Document) -> Result<(), AuthError> {
        let private = key.private.as_ref().ok_or(AuthError::Key("it does not open"))?;
        let der = STANDARD.decode(private.expose()).map_err(|_| AuthError::Key("not base64"))?;
        let der = zeroize::Zeroizing::new(der);
        let algorithm: SigningAlgorithm = key.algorithm.parse()?;
        let (private, jwk) = (algorithm.private(&der)?, algorithm.public(&der)?);
        let kid = jwk.common.key_id.clone().unwrap_or_default();
        if kid != key.kid {
            return Err(AuthError::Key("not what its id says"));
        }
        let verifier = DecodingKey::from_jwk(&jwk).map_err(|_| AuthError::Key("it does not verify"))?;
        self.verifying.insert(kid.clone(), Verifier { algorithm, key: verifier });
        document.keys.push(jwk);
        if key.state == KeyState::Active {
            let mut header = Header::new(algorithm.jose());
            (header.typ, header.kid) = (Some(ACCESS_TOKEN.to_owned()), Some(kid));
            self.signing = Some((header, private));
        }
        Ok(())
    }

    /// Signs claims as an access token.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Secret, AuthError> {
        let (header, key) = self.signing.as_ref().ok_or(AuthError::Key("there is none"))?;
        jsonwebtoken::encode(header, claims, key).map(Secret::new).map_err(|_| AuthError::Key("it does not sign"))
    }

    /// Signs any message, for tests that forge.
    #[cfg(test)]
    pub(crate) fn sign_raw(&self, message: &[u8]) -> String {
        let (header, key) = self.signing.as_ref().expect("there is a key");
        jsonwebtoken::crypto::sign(message, key, header.alg).expect("it signs")
    }

    /// The key of a `kid`, if it is one of ours.
    pub(crate) fn verifier(&self, kid: &str) -> Option<&Verifier> {
        self.verifying.get(kid)
    }

    /// The public keys (RFC 7517 §5).
    pub(crate) fn document(&self) -> Bytes {
        self.document.clone()
    }

    /// What the schedule looks at.
    pub(crate) fn dates(&self) -> &[KeyDates] {
        &self.dates
    }
}

/// Says which cryptography signs and verifies JWTs in this process, whatever other crates switch on;
/// harmless when it was said before.
pub(crate) fn install_provider() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

#[cfg(test)]
mod tests;
