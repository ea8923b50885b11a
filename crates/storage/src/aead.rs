//! The one layout of everything sealed: `version ‖ key id ‖ nonce ‖ ciphertext and tag`
//! (XChaCha20-Poly1305: the nonce is long enough to be random for ever).

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use model::Entropy;
use zeroize::Zeroizing;

/// The version of the layout.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Why something sealed did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is too short to be sealed.
    Short,
    /// Another version of Portico wrote it.
    Version,
    /// It was changed or moved, or the key is another one.
    Changed,
}

impl Unopened {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Short => "it is cut off",
            Self::Version => "its layout is of another version",
            Self::Changed => "it was changed, moved, or sealed by another key",
        }
    }
}

/// A key that seals. Wiped when dropped.
pub(crate) struct SealingKey(XChaCha20Poly1305);

impl SealingKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(<&Key>::from(key)))
    }

    /// Seals `plain` so that it opens only with the same `id` and `bound`.
    pub(crate) fn seal(&self, id: u32, bound: &[&[u8]], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: plain, aad: &associated(id, bound) };
        let ciphertext = self.0.encrypt(&XNonce::from(nonce), payload).expect("a value is far below 256 GiB");
        let mut sealed = Vec::with_capacity(1 + 4 + NONCE + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    /// Opens what [`seal`](Self::seal) made.
    pub(crate) fn open(&self, bound: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let id = key_id(sealed)?;
        let (nonce, ciphertext) = sealed[5..].split_first_chunk::<NONCE>().ok_or(Unopened::Short)?;
        if ciphertext.len() < TAG {
            return Err(Unopened::Short);
        }
        let payload = Payload { msg: ciphertext, aad: &associated(id, bound) };
        let plain = self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| Unopened::Changed)?;
        Ok(Zeroizing::new(plain))
    }
}

/// Which of its owner's keys sealed this.
pub(crate) fn key_id(sealed: &[u8]) -> Result<u32, Unopened> {
    let (&version, rest) = sealed.split_first().ok_or(Unopened::Short)?;
    if version != VERSION {
        return Err(Unopened::Version);
    }
    let (id, _) = rest.split_first_chunk::<4>().ok_or(Unopened::Short)?;
    Ok(u32::from_be_bytes(*id))
}

fn associated(id: u32, bound: &[&[u8]]) -> Vec<u8> {
    let mut all = vec![VERSION];
    all.extend_from_slice(&id.to_be_bytes());
    append_parts(&mut all, bound);
    all
}

/// Appends parts, each behind its length, so that no two lists of parts make the same bytes.
pub(crate) fn append_parts(to: &mut Vec<u8>, parts: &[&[u8]]) {
    to.reserve(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        to.extend_from_slice(&(part.len() as u64).to_be_bytes());
        to.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use model::SeededEntropy;

    use super::*;

    const BOUND: &[&[u8]] = &[b"ab", b"c"];

    #[test]
    fn opens_only_with_what_it_was_sealed_with() {
        let (entropy, key) = (SeededEntropy::new(1), SealingKey::new(&[1; 32]));
        let sealed = key.seal(7, BOUND, b"hello", &entropy);
        assert_eq!(key_id(&sealed), Ok(7));
        assert_eq!(key.open(BOUND, &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(key.open(&[b"a", b"bc"], &sealed), Err(Unopened::Changed));
        assert_eq!(SealingKey::new(&[2; 32]).open(BOUND, &sealed), Err(Unopened::Changed));
    }

    #[test]
    fn no_changed_byte_and_no_cut_goes_unnoticed() {
        let (entropy, key) = (SeededEntropy::new(1), SealingKey::new(&[1; 32]));
        let sealed = key.seal(7, BOUND, b"hello", &entropy);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(BOUND, &changed).is_err(), "byte {at}");
            assert!(key.open(BOUND, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let (entropy, key) = (SeededEntropy::new(1), SealingKey::new(&[1; 32]));
        assert_ne!(key.seal(1, BOUND, b"hello", &entropy), key.seal(1, BOUND, b"hello", &entropy));
    }
}
