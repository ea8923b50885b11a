use std::{fmt, str::FromStr};

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use jsonwebtoken::{
    Algorithm, EncodingKey,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use zeroize::Zeroizing;

use crate::AuthError;

/// What access tokens are signed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256: every library verifies it, and it is the fastest to sign.
    #[default]
    Es256,
    /// Ed25519: not every library verifies it.
    EdDsa,
    /// RSA of 2048 bits, for verifiers that know nothing else (RFC 9068 §2.1).
    Rs256,
}

impl SigningAlgorithm {
    /// Its name (RFC 7518 §3.1, RFC 8037 §3.1).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    pub(crate) const fn jose(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Rs256 => Algorithm::RS256,
        }
    }

    /// A fresh key pair, as PKCS#8 DER. From the library's own generator: none of these keys is made from
    /// chosen bytes.
    pub(super) fn generate(self) -> Result<Zeroizing<Vec<u8>>, AuthError> {
        let failed = |_| AuthError::Key("not made");
        let der = match self {
            Self::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            Self::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            Self::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                pair.as_der().map_err(failed)?.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(der))
    }

    /// The private key of a PKCS#8 document.
    pub(super) fn private(self, der: &[u8]) -> Result<EncodingKey, AuthError> {
        Ok(match self {
            Self::Es256 => EncodingKey::from_ec_der(der),
            Self::EdDsa => EncodingKey::from_ed_der(der),
            Self::Rs256 => EncodingKey::from_rsa_der(rsa_private_key(der).ok_or(AuthError::Key("not an RSA key"))?),
        })
    }

    /// The public half, with its thumbprint as `kid` (RFC 7638).
    pub(super) fn public(self, der: &[u8]) -> Result<Jwk, AuthError> {
        let bad = |_| AuthError::Key("not a key of its algorithm");
        let mut jwk = Jwk::from_encoding_key(&self.private(der)?, self.jose()).map_err(bad)?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).map_err(bad)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(jwk)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SigningAlgorithm {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        [Self::Es256, Self::EdDsa, Self::Rs256]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or(AuthError::Key("its algorithm is not one of ES256, EdDSA and RS256"))
    }
}

/// The `RSAPrivateKey` (RFC 8017 A.1.2) that the octet string of a PKCS#8 document is.
fn rsa_private_key(pkcs8: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const OCTETS: u8 = 0x04;
    let (document, _) = value(pkcs8, SEQUENCE)?;
    let (_version, rest) = value(document, INTEGER)?;
    let (_algorithm, rest) = value(rest, SEQUENCE)?;
    value(rest, OCTETS).map(|(key, _)| key)
}

/// The value of the first element of some DER, if it is of this kind, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}
