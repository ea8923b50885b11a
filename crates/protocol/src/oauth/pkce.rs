use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A PKCE code challenge of method S256 (RFC 7636 §4.2): the only method there is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

/// The text is not the unpadded base64url of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a code challenge of method S256")]
pub struct InvalidChallenge;

impl CodeChallenge {
    /// Reads a challenge: 43 characters that decode to 32 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidChallenge> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidChallenge)?;
        if bytes.len() == 32 { Ok(Self(text.to_owned())) } else { Err(InvalidChallenge) }
    }

    /// The challenge's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is well-formed and is what the challenge was made from.
    pub fn verify(&self, verifier: &str) -> bool {
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        verifier_is_well_formed(verifier) && bool::from(digest.as_bytes().ct_eq(self.0.as_bytes()))
    }
}

/// Whether a verifier is 43 to 128 unreserved characters (RFC 7636 §4.1).
pub fn verifier_is_well_formed(verifier: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_rfc_example_verifies() {
        assert!(CodeChallenge::parse(CHALLENGE).unwrap().verify(VERIFIER));
    }

    #[test]
    fn other_verifiers_do_not() {
        let challenge = CodeChallenge::parse(CHALLENGE).unwrap();
        let other = format!("{}a", &VERIFIER[..42]);
        let (short, long, strange) = (&VERIFIER[..42], "a".repeat(129), format!("{}+", &VERIFIER[..42]));
        for verifier in [other.as_str(), short, &long, &strange, CHALLENGE, ""] {
            assert!(!challenge.verify(verifier), "{verifier}");
        }
    }

    #[test]
    fn lengths_at_the_edges() {
        for (length, good) in [(42, false), (43, true), (128, true), (129, false)] {
            assert_eq!(verifier_is_well_formed(&"a".repeat(length)), good, "{length}");
        }
    }

    #[test]
    fn challenges_have_one_form() {
        let padded = format!("{CHALLENGE}=");
        for bad in ["", "abc", &CHALLENGE[..42], &padded, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"] {
            assert_eq!(CodeChallenge::parse(bad), Err(InvalidChallenge), "{bad}");
        }
    }
}
