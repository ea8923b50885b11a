//! An RSA key and the JWTs it signs.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};

/// A key with its id.
#[derive(Debug)]
pub(super) struct Signer {
    kid: &'static str,
    key: KeyPair,
}

impl Signer {
    /// A new key.
    pub(super) fn generate(kid: &'static str) -> anyhow::Result<Self> {
        Ok(Self { kid, key: KeyPair::generate(KeySize::Rsa2048)? })
    }

    /// The public half (RFC 7517 §4).
    pub(super) fn jwk(&self) -> Value {
        let public = self.key.public_key();
        let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero()),
        })
    }

    /// A JWT with RS256 (RFC 7518 §3.3).
    pub(super) fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let message = unsigned(&json!({ "alg": "RS256", "kid": self.kid, "typ": "JWT" }), claims);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
        Ok(format!("{message}.{}", BASE64URL.encode(signature)))
    }
}

/// The part of a JWT that is signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()))
}
