use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use model::Timestamp;
use sha2::Sha256;

/// Makes and checks CSRF tokens. Nothing is stored: a token is an expiry and an HMAC over the browser and
/// everything else it stands for (record 7 of the design: whatever the page showed), so two tabs never
/// overwrite each other's.
#[derive(Clone)]
pub struct Csrf(Hmac<Sha256>);

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Csrf")
    }
}

impl Csrf {
    /// From a key that every replica has.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// A token for exactly these `parts`, in this order, until `expires`.
    pub fn token(&self, parts: &[&[u8]], expires: Timestamp) -> String {
        let mut token = expires.millis().to_be_bytes().to_vec();
        token.extend_from_slice(&self.mac(parts, expires.millis().to_be_bytes()).finalize().into_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether `token` was made for these parts and has not expired at `now`. Compares in constant time.
    pub fn check(&self, token: &str, parts: &[&[u8]], now: Timestamp) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((expires, tag)) = bytes.split_first_chunk::<8>() else { return false };
        let genuine = self.mac(parts, *expires).verify_slice(tag).is_ok();
        genuine && now < Timestamp::from_millis(i64::from_be_bytes(*expires))
    }

    /// Every part goes in behind its length, so that parts cannot run into each other.
    fn mac(&self, parts: &[&[u8]], expires: [u8; 8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&expires);
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_its_parts_key_and_time() {
        let csrf = Csrf::new(&[7; 32]);
        let (now, expires) = (Timestamp::from_seconds(10), Timestamp::from_seconds(20));
        let token = csrf.token(&[b"ab", b"c"], expires);
        assert!(csrf.check(&token, &[b"ab", b"c"], now));
        assert!(!csrf.check(&token, &[b"a", b"bc"], now), "parts do not run into each other");
        assert!(!csrf.check(&token, &[b"ab", b"c", b""], now));
        assert!(!csrf.check(&token, &[b"ab", b"c"], expires), "expired");
        assert!(!Csrf::new(&[8; 32]).check(&token, &[b"ab", b"c"], now), "another key");
        let mut later = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        later[6] ^= 1;
        assert!(!csrf.check(&BASE64_URL_SAFE_NO_PAD.encode(later), &[b"ab", b"c"], now), "another expiry");
        for bad in ["", "x", "AAAA", "é"] {
            assert!(!csrf.check(bad, &[b"ab", b"c"], now));
        }
    }
}
