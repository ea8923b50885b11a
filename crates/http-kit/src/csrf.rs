use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use model::Timestamp;
use sha2::Sha256;
use storage::{Derived, Sealer};

/// Makes and checks CSRF tokens. Nothing is stored: a token is an expiry and an HMAC over the browser and
/// everything else it stands for (record 7 of the design: whatever the page showed), so two tabs never
/// overwrite each other's. The keys follow rotation: the newest makes, all of them check.
#[derive(Clone, Debug)]
pub struct Csrf(Arc<Derived<Hmac<Sha256>>>);

impl Csrf {
    /// With keys that every replica has.
    pub fn new(sealer: &Arc<Sealer>) -> Self {
        let mac = |key: &[u8; 32]| Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self(Arc::new(Derived::new(sealer, "csrf", mac)))
    }

    /// A token for exactly these `parts`, in this order, until `expires`.
    pub fn token(&self, parts: &[&[u8]], expires: Timestamp) -> String {
        let expires = expires.millis().to_be_bytes();
        let mut token = expires.to_vec();
        token.extend_from_slice(&self.0.newest(|_, key| mac(key, parts, expires).finalize().into_bytes()));
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether `token` was made for these parts and has not expired at `now`. Compares in constant time.
    pub fn check(&self, token: &str, parts: &[&[u8]], now: Timestamp) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((expires, tag)) = bytes.split_first_chunk::<8>() else { return false };
        let genuine = self.0.any(|key| mac(key, parts, *expires).verify_slice(tag).is_ok());
        genuine && now < Timestamp::from_millis(i64::from_be_bytes(*expires))
    }
}

/// Every part goes in behind its length, so that parts cannot run into each other.
fn mac(key: &Hmac<Sha256>, parts: &[&[u8]], expires: [u8; 8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(&expires);
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{Clock as _, ManualClock, SeededEntropy};
    use storage::{ACTIVATION, MasterKey, MasterKeys, Owner, conformance::MemoryKeys};

    use super::*;

    async fn sealer(master: u8, clock: &Arc<ManualClock>) -> Arc<Sealer> {
        let (master, entropy) = (MasterKey::new([master; 32]), SeededEntropy::new(u64::from(master)));
        let (master, keys) = (Arc::new(MasterKeys::from(master)), Arc::new(MemoryKeys::default()));
        Arc::new(Sealer::open_ring(master, keys, clock.clone(), Arc::new(entropy)).await.unwrap())
    }

    #[tokio::test]
    async fn a_form_outlives_a_rotation() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(10)));
        let sealer = sealer(7, &clock).await;
        let (csrf, expires) = (Csrf::new(&sealer), clock.now() + Duration::from_hours(1));
        let old = csrf.token(&[b"form"], expires);
        assert!(sealer.rotate(Owner::Platform).await.unwrap().made);
        assert_eq!(csrf.token(&[b"form"], expires), old, "the new key is not active yet");
        clock.advance(ACTIVATION);
        let new = csrf.token(&[b"form"], expires);
        assert_ne!(new, old);
        for token in [old, new] {
            assert!(csrf.check(&token, &[b"form"], clock.now()));
            assert!(!csrf.check(&token, &[b"other"], clock.now()));
        }
    }

    #[tokio::test]
    async fn a_token_is_for_its_parts_key_and_time() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(10)));
        let csrf = Csrf::new(&sealer(7, &clock).await);
        let other = Csrf::new(&sealer(8, &clock).await);
        let (now, expires) = (Timestamp::from_seconds(10), Timestamp::from_seconds(20));
        let token = csrf.token(&[b"ab", b"c"], expires);
        assert!(csrf.check(&token, &[b"ab", b"c"], now));
        assert!(!csrf.check(&token, &[b"a", b"bc"], now), "parts do not run into each other");
        assert!(!csrf.check(&token, &[b"ab", b"c", b""], now));
        assert!(!csrf.check(&token, &[b"ab", b"c"], expires), "expired");
        assert!(!other.check(&token, &[b"ab", b"c"], now), "another key");
        let mut later = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        later[6] ^= 1;
        assert!(!csrf.check(&BASE64_URL_SAFE_NO_PAD.encode(later), &[b"ab", b"c"], now), "another expiry");
        for bad in ["", "x", "AAAA", "é"] {
            assert!(!csrf.check(bad, &[b"ab", b"c"], now));
        }
    }
}
