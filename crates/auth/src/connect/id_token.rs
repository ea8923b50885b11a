//! Verifying identity tokens (OpenID Connect Core §3.1.3.7).

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use model::{Secret, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

/// How far a provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_mins(1);
/// The longest token that we look at, in bytes.
const LONGEST: usize = 16 * 1024;

/// What a token has to say.
pub(super) struct Expected<'a> {
    /// What the issuer may call itself.
    pub(super) issuers: &'a [String],
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a Secret,
    /// What the issuer says that it signs with, if it says so.
    pub(super) algorithms: Option<&'a [String]>,
    pub(super) now: Timestamp,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// None of the issuer's keys is the one it names; newer keys may have it.
    UnknownKey,
    /// Whatever keys there are.
    Because(&'static str),
}

impl Rejected {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::UnknownKey => "the identity token names a key that its issuer does not have",
            Self::Because(reason) => reason,
        }
    }
}

/// The claims that we use.
#[derive(Debug, Deserialize)]
pub(super) struct IdClaims {
    pub(super) sub: String,
    pub(super) name: Option<String>,
    pub(super) preferred_username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<Value>,
    pub(super) iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    at_hash: Option<String>,
    /// What only some providers say.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// The claims of a token that is genuine, new and meant for us.
pub(super) fn verify(token: &Secret, keys: &[Jwk], expected: &Expected<'_>) -> Result<IdClaims, Rejected> {
    let token = token.expose();
    if token.len() > LONGEST {
        return Err(Rejected::Because("the identity token is too long"));
    }
    let header = decode_header(token).map_err(|_| Rejected::Because("the identity token is no signed token"))?;
    // RFC 7515 §4.1.11: what is critical must be understood, and we understand no extension.
    if header.crit.is_some() {
        return Err(Rejected::Because("the identity token has critical extensions"));
    }
    let announced = expected.algorithms.is_none_or(|all| all.iter().any(|one| *one == format!("{:?}", header.alg)));
    if !announced {
        return Err(Rejected::Because("the identity token's algorithm is not one that its issuer announced"));
    }
    let key = key(keys, header.kid.as_deref(), header.alg)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Rejected::Because("the issuer's key is not usable"))?;
    let claims = decode::<IdClaims>(token, &key, &validation(header.alg, expected))
        .map_err(|_| Rejected::Because("the identity token's signature or claims are wrong"))?
        .claims;
    check(&claims, header.alg, expected).map_err(Rejected::Because)?;
    Ok(claims)
}

/// The signature, the issuer and the audience are checked by the library; time by us, with our clock.
fn validation(algorithm: Algorithm, expected: &Expected<'_>) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_audience(&[expected.client_id]);
    validation.set_issuer(expected.issuers);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// The issuer's key for a token. The algorithm must suit the key, so that a public key is never taken for
/// a shared secret.
fn key<'a>(keys: &'a [Jwk], kid: Option<&str>, algorithm: Algorithm) -> Result<&'a Jwk, Rejected> {
    let mut suitable = keys.iter().filter(|key| suits(key, algorithm));
    match kid {
        Some(kid) => suitable.find(|key| key.common.key_id.as_deref() == Some(kid)).ok_or(Rejected::UnknownKey),
        None => match (suitable.next(), suitable.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Rejected::UnknownKey),
        },
    }
}

fn suits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let by_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::EllipticCurve(key) => {
            matches!((&key.curve, algorithm), (EllipticCurve::P256, ES256) | (EllipticCurve::P384, ES384))
        }
        AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519 && algorithm == EdDSA,
        // Shared secrets among them.
        _ => false,
    };
    let for_signing = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let own = key.common.key_algorithm.is_none_or(|own| Algorithm::try_from(own).is_ok_and(|own| own == algorithm));
    by_kind && for_signing && own
}

fn check(claims: &IdClaims, algorithm: Algorithm, expected: &Expected<'_>) -> Result<(), &'static str> {
    if claims.sub.is_empty() || claims.sub.len() > 255 || claims.iss.is_empty() {
        return Err("the identity token has no usable subject");
    }
    let audience = claims.aud.all();
    let ours = audience.iter().any(|one| one == expected.client_id);
    let presented_by_us = claims.azp.as_ref().is_none_or(|azp| azp == expected.client_id);
    if !ours || !presented_by_us || (audience.len() > 1 && claims.azp.is_none()) {
        return Err("the identity token is for somebody else");
    }
    check_time(claims, expected.now)?;
    let nonce = claims.nonce.as_deref().unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err("the identity token is not for this sign-in");
    }
    match &claims.at_hash {
        Some(hash) if *hash != half_hash(expected.access_token, algorithm) => {
            Err("the identity token belongs to another access token")
        }
        _ => Ok(()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of our time are exact in a double")]
fn check_time(claims: &IdClaims, now: Timestamp) -> Result<(), &'static str> {
    let (now, leeway) = (now.seconds() as f64, LEEWAY.as_secs_f64());
    if claims.exp.is_nan() || claims.exp + leeway <= now {
        return Err("the identity token has expired");
    }
    if claims.iat > now + leeway || claims.nbf.is_some_and(|nbf| nbf > now + leeway) {
        return Err("the identity token is from the future");
    }
    Ok(())
}

/// `at_hash`: the left half of the access token's hash, with the hash of the signature's algorithm
/// (OpenID Connect Core §3.1.3.6).
fn half_hash(token: &Secret, algorithm: Algorithm) -> String {
    use Algorithm::{ES384, EdDSA, PS384, PS512, RS384, RS512};
    let hash = match algorithm {
        ES384 | PS384 | RS384 => &digest::SHA384,
        EdDSA | PS512 | RS512 => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let hash = digest::digest(hash, token.expose().as_bytes());
    let hash = hash.as_ref();
    BASE64_URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}
