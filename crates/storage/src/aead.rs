//! The one layout of everything sealed: `version ‖ key id ‖ nonce ‖ ciphertext and tag`
//! (XChaCha20-Poly1305: the nonce is long enough to be random for ever).

use chacha20poly1305::{
    Key, KeyInit as _, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use model::Entropy;
use zeroize::Zeroizing;

/// The version of the layout.
const VERSION: u8 = 1;
/// Version and key id.
const NAMES: usize = 1 + 4;
const NONCE: usize = 24;
const TAG: usize = 16;
const HEAD: usize = NAMES + NONCE;

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

    /// Seals `plain` so that it opens only with the same `id`, `label` and `bound`. One buffer holds the
    /// plain bytes and then the sealed ones, so that no other copy of them is left behind.
    pub(crate) fn seal(&self, id: u32, label: &[u8], bound: &[&[u8]], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.to_be_bytes());
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &associated(id, label, bound),
                InOutBuf::from(&mut sealed[HEAD..]),
            )
            .expect("a value is far below 256 GiB");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens what [`seal`](Self::seal) made.
    pub(crate) fn open(&self, label: &[u8], bound: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let id = key_id(sealed)?;
        let (nonce, rest) = sealed[NAMES..].split_first_chunk::<NONCE>().ok_or(Unopened::Short)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(Unopened::Short)?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        self.0
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &associated(id, label, bound),
                InOutBuf::from(plain.as_mut_slice()),
                &Tag::from(*tag),
            )
            .map_err(|_| Unopened::Changed)?;
        Ok(plain)
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

fn associated(id: u32, label: &[u8], bound: &[&[u8]]) -> Vec<u8> {
    let length = |part: &[u8]| 8 + part.len();
    let mut all = Vec::with_capacity(NAMES + length(label) + bound.iter().map(|part| length(part)).sum::<usize>());
    all.push(VERSION);
    all.extend_from_slice(&id.to_be_bytes());
    append_parts(&mut all, &[label]);
    append_parts(&mut all, bound);
    all
}

/// Appends parts, each behind its length, so that no two lists of parts make the same bytes.
pub(crate) fn append_parts(to: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        to.extend_from_slice(&(part.len() as u64).to_be_bytes());
        to.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use model::SeededEntropy;

    use super::*;

    const LABEL: &[u8] = b"label";
    const BOUND: &[&[u8]] = &[b"ab", b"c"];

    #[test]
    fn opens_only_with_what_it_was_sealed_with() {
        let (entropy, key) = (SeededEntropy::new(1), SealingKey::new(&[1; 32]));
        let sealed = key.seal(7, LABEL, BOUND, b"hello", &entropy);
        assert_eq!(key_id(&sealed), Ok(7));
        assert_eq!(key.open(LABEL, BOUND, &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(key.open(LABEL, &[b"a", b"bc"], &sealed), Err(Unopened::Changed));
        assert_eq!(key.open(b"labe", &[b"lab", b"c"], &sealed), Err(Unopened::Changed));
        assert_eq!(SealingKey::new(&[2; 32]).open(LABEL, BOUND, &sealed), Err(Unopened::Changed));
    }

    #[test]
    fn no_changed_byte_and_no_cut_goes_unnoticed() {
        let (entropy, key) = (SeededEntropy::new(1), SealingKey::new(&[1; 32]));
        let sealed = key.seal(7, LABEL, BOUND, b"hello", &entropy);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(LABEL, BOUND, &changed).is_err(), "byte {at}");
            assert!(key.open(LABEL, BOUND, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    const FIRST: &str =
        "01000000079a3744504560639ec670b7a17d492b273e077b0a96bef58bfbea2bd3e62df47b05996d2ce5c9895186fdeea1af";

    /// What an installation has stored stays readable: this was sealed by the first version.
    #[test]
    fn the_layout_has_not_changed() {
        let key = SealingKey::new(&[1; 32]);
        let sealed = FIRST.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16));
        let sealed = sealed.collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(key.open(LABEL, BOUND, &sealed).unwrap().as_slice(), b"hello");
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let (entropy, key) = (SeededEntropy::new(1), SealingKey::new(&[1; 32]));
        assert_ne!(key.seal(1, LABEL, BOUND, b"hello", &entropy), key.seal(1, LABEL, BOUND, b"hello", &entropy));
    }
}
