//! Signing keys: made once, kept sealed in the store, used from memory.

use std::collections::HashMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use model::{Clock, Entropy, Secret};
use serde::Serialize;
use storage::repo::{Actor, AuditEvent, KeyState, SigningKey, SigningKeys};

use crate::AuthError;

/// The `typ` of an access token (RFC 9068 §2.1).
pub(crate) const ACCESS_TOKEN: &str = "at+jwt";

/// Makes the first key of an installation if it has none. Of several replicas that start together, one
/// makes it and the others read it.
pub(crate) async fn ensure_first(
    keys: &dyn SigningKeys,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), AuthError> {
    if !keys.all().await?.is_empty() {
        return Ok(());
    }
    // The key comes from the library's own generator: an ECDSA key is not made from chosen bytes.
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| AuthError::Key("not made"))?;
    let der = pair.to_pkcs8v1().map_err(|_| AuthError::Key("not made"))?;
    let private = Secret::new(STANDARD.encode(der.as_ref()));
    let key = SigningKey {
        kid: public(&EncodingKey::from_ec_der(der.as_ref()))?.0,
        algorithm: "ES256".to_owned(),
        private,
        state: KeyState::Active,
        created_at: clock.now(),
    };
    let event = AuditEvent::new(clock, entropy, Actor::System, "signing_key.created", &key.kid);
    keys.insert_first(&key, &event).await?;
    Ok(())
}

/// The public half of a key, with its thumbprint as `kid` (RFC 7638).
fn public(key: &EncodingKey) -> Result<(String, Jwk), AuthError> {
    let bad = |_| AuthError::Key("not an ES256 key");
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).map_err(bad)?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(bad)?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok((kid, jwk))
}

/// All keys of the moment, ready to use.
pub(crate) struct KeySet {
    signing: Option<(Header, EncodingKey)>,
    verifying: HashMap<String, DecodingKey>,
    document: Bytes,
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
        Self { signing: None, verifying: HashMap::new(), document: Bytes::from_static(br#"{"keys":[]}"#) }
    }

    /// From what the store holds.
    pub(crate) fn new(keys: &[SigningKey]) -> Result<Self, AuthError> {
        let mut set = Self::empty();
        let mut document = Document { keys: Vec::new() };
        for key in keys {
            let der = zeroize::Zeroizing::new(
                STANDARD.decode(key.private.expose()).map_err(|_| AuthError::Key("not base64"))?,
            );
            let private = EncodingKey::from_ec_der(&der);
            let (kid, jwk) = public(&private)?;
            if kid != key.kid || key.algorithm != "ES256" {
                return Err(AuthError::Key("not what its id says"));
            }
            let verifier = DecodingKey::from_jwk(&jwk).map_err(|_| AuthError::Key("not an ES256 key"))?;
            set.verifying.insert(kid.clone(), verifier);
            document.keys.push(jwk);
            if key.state == KeyState::Active {
                let mut header = Header::new(Algorithm::ES256);
                (header.typ, header.kid) = (Some(ACCESS_TOKEN.to_owned()), Some(kid));
                set.signing = Some((header, private));
            }
        }
        set.document = serde_json::to_vec(&document).expect("a JWK is plain JSON").into();
        Ok(set)
    }

    /// Signs claims as an access token.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Secret, AuthError> {
        let (header, key) = self.signing.as_ref().ok_or(AuthError::Key("there is none"))?;
        jsonwebtoken::encode(header, claims, key).map(Secret::new).map_err(|_| AuthError::Key("it does not sign"))
    }

    /// Signs any message, for tests that forge.
    #[cfg(test)]
    pub(crate) fn sign_raw(&self, message: &[u8]) -> String {
        let (_, key) = self.signing.as_ref().expect("there is a key");
        jsonwebtoken::crypto::sign(message, key, Algorithm::ES256).expect("it signs")
    }

    /// The key of a `kid`, if it is one of ours. All are for ES256.
    pub(crate) fn verifier(&self, kid: &str) -> Option<&DecodingKey> {
        self.verifying.get(kid)
    }

    /// The public keys (RFC 7517 §5).
    pub(crate) fn document(&self) -> Bytes {
        self.document.clone()
    }
}

/// Says which cryptography signs and verifies JWTs in this process, whatever other crates switch on;
/// harmless when it was said before.
pub(crate) fn install_provider() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
