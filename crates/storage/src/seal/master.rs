//! The keys that wrap data keys, and the ring of them.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::expand;
use crate::{Result, aead::SealingKey};

/// Which master key: a fingerprint that says nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MasterId(pub [u8; 8]);

/// As 16 hexadecimal digits.
impl fmt::Display for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not the id of a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a master key: 16 hexadecimal digits")]
pub struct InvalidMasterId;

impl FromStr for MasterId {
    type Err = InvalidMasterId;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidMasterId> {
        let id = u64::from_str_radix(text, 16).map_err(|_| InvalidMasterId)?;
        let id = Self(id.to_be_bytes());
        // One id has one spelling: what prints otherwise was not printed by us.
        if id.to_string() == text { Ok(id) } else { Err(InvalidMasterId) }
    }
}

/// A key that wraps data keys. Kept outside of every database. Cheap to clone; wiped with its last clone.
#[derive(Clone)]
pub struct MasterKey(Arc<Unpacked>);

struct Unpacked {
    id: MasterId,
    wrapping: SealingKey,
}

impl MasterKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self::from_bytes(&Zeroizing::new(bytes))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let fingerprint = expand(bytes, "master id", "");
        let (id, _) = fingerprint.split_first_chunk().expect("32 bytes begin with 8");
        let wrapping = SealingKey::new(&expand(bytes, "wrap", ""));
        Self(Arc::new(Unpacked { id: MasterId(*id), wrapping }))
    }

    /// Which key it is.
    pub fn id(&self) -> MasterId {
        self.0.id
    }

    pub(super) fn wrapping(&self) -> &SealingKey {
        &self.0.wrapping
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// The ring of master keys: the last one wraps, all of them unwrap.
#[derive(Clone, Debug)]
pub struct MasterKeys(Vec<MasterKey>);

/// What was given as master keys is none. Says which and never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMasterKeys {
    /// There is no key.
    #[error("there is no master key in it")]
    Empty,
    /// The key at this position, from 1, is malformed.
    #[error("key {0} of it is neither 64 hexadecimal digits nor 32 bytes in base64")]
    Malformed(usize),
}

impl From<MasterKey> for MasterKeys {
    fn from(only: MasterKey) -> Self {
        Self(vec![only])
    }
}

impl MasterKeys {
    /// A ring of these keys, of which the last one wraps.
    pub fn new(keys: Vec<MasterKey>) -> std::result::Result<Self, BadMasterKeys> {
        if keys.is_empty() { Err(BadMasterKeys::Empty) } else { Ok(Self(keys)) }
    }

    /// Reads a key file or variable: 32 bytes are one key; anything else is a text of keys with spaces or
    /// line ends between them, each 64 hexadecimal digits or 32 bytes in base64. `#` starts a comment.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, BadMasterKeys> {
        if let Ok(raw) = <&[u8; 32]>::try_from(bytes) {
            return Ok(MasterKey::from_bytes(raw).into());
        }
        let lines = bytes.split(|byte| *byte == b'\n');
        let uncommented = lines.map(|line| line.split(|byte| *byte == b'#').next().unwrap_or_default());
        let words = uncommented.flat_map(|line| line.split(u8::is_ascii_whitespace)).filter(|word| !word.is_empty());
        let keys = words.zip(1..).map(|(word, position)| {
            let key = word_key(word).ok_or(BadMasterKeys::Malformed(position))?;
            Ok(MasterKey::from_bytes(&key))
        });
        Self::new(keys.collect::<std::result::Result<_, _>>()?)
    }

    /// The one that wraps.
    pub fn newest(&self) -> &MasterKey {
        self.0.last().expect("a ring has a key")
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        self.0.iter()
    }

    /// The one with this id.
    pub fn get(&self, id: MasterId) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.id() == id)
    }
}

const BASE64: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

fn word_key(word: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if word.len() == 64 {
        for (byte, digits) in key.iter_mut().zip(word.chunks_exact(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        return Some(key);
    }
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        // Decoding wants room for the longest text of this length.
        let mut room = Zeroizing::new([0; 36]);
        if GeneralPurpose::new(alphabet, BASE64).decode_slice(word, &mut *room) == Ok(32) {
            key.copy_from_slice(&room[..32]);
            return Some(key);
        }
    }
    None
}

/// Where the ring of master keys comes from. Asked again when a data key is wrapped by a master key that
/// is not in the ring, so that a new one can be given to running replicas.
pub trait MasterKeySource: Send + Sync + fmt::Debug {
    /// The keys as they are now.
    fn read(&self) -> Result<MasterKeys>;
}

/// A ring that never changes.
impl MasterKeySource for MasterKeys {
    fn read(&self) -> Result<MasterKeys> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_reads_in_every_spelling() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 7 + 3).unwrap());
        let id = MasterKey::new(bytes).id();
        let hex = crate::archive::hex(&bytes).to_uppercase();
        let base64 = base64::prelude::BASE64_STANDARD.encode(bytes);
        let url = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let ids = |text: &[u8]| MasterKeys::parse(text).unwrap().iter().map(MasterKey::id).collect::<Vec<_>>();
        assert_eq!(ids(&bytes), [id]);
        for text in [hex.clone(), base64.clone(), base64.trim_end_matches('=').to_owned(), url] {
            assert_eq!(ids(text.as_bytes()), [id], "{text}");
            assert_eq!(ids(format!("# ours\r\n\r\n  {text} # new\r\n").as_bytes()), [id], "{text}");
        }
        let other = "00".repeat(32);
        let ring = MasterKeys::parse(format!("{hex} {other}").as_bytes()).unwrap();
        assert_eq!(ring.newest().id(), MasterKey::new([0; 32]).id(), "the last one wraps");
        assert!(ring.get(id).is_some());
    }

    #[test]
    fn what_is_no_ring_is_refused_without_being_shown() {
        let good = "0a".repeat(32);
        let cases = [
            (String::new(), BadMasterKeys::Empty),
            ("# only words\n".to_owned(), BadMasterKeys::Empty),
            (format!("{good}\n{}", &good[1..]), BadMasterKeys::Malformed(2)),
            (format!("{good}{good}"), BadMasterKeys::Malformed(1)),
            ("x".repeat(64), BadMasterKeys::Malformed(1)),
            (base64::prelude::BASE64_STANDARD.encode([1; 31]), BadMasterKeys::Malformed(1)),
            (base64::prelude::BASE64_STANDARD.encode([1; 33]), BadMasterKeys::Malformed(1)),
        ];
        for (text, expected) in cases {
            let refused = MasterKeys::parse(text.as_bytes()).unwrap_err();
            assert_eq!(refused, expected, "{text}");
            assert!(!refused.to_string().contains(&good));
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = MasterKey::new([9; 32]).id();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 16);
        for bad in ["", "12", "+123456789abcdef", "0123456789ABCDEF"] {
            assert_eq!(bad.parse::<MasterId>(), Err(InvalidMasterId), "{bad}");
        }
    }
}
