//! Looking for secrets where there should be none, in every form that hides nothing.

use std::{collections::HashMap, fmt::Write as _};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Shorter ones are found by chance.
const SHORTEST: usize = 12;
/// By how much a form is looked up before it is compared.
const LOOKUP: usize = 8;

/// Secrets, and what they are for messages.
#[derive(Debug, Default)]
pub struct Needles {
    what: Vec<String>,
    forms: Vec<(usize, &'static str, Vec<u8>)>,
    index: HashMap<[u8; LOOKUP], Vec<usize>>,
}

impl Needles {
    /// Adds one.
    ///
    /// # Panics
    /// When it is so short that it would be found by chance.
    pub fn add(&mut self, what: impl Into<String>, secret: &[u8]) {
        let what = what.into();
        assert!(secret.len() >= SHORTEST, "{what} is too short to be looked for");
        for (form, bytes) in forms(secret) {
            let start = bytes[..LOOKUP].try_into().expect("forms are not shorter than what they are of");
            self.index.entry(start).or_default().push(self.forms.len());
            self.forms.push((self.what.len(), form, bytes));
        }
        self.what.push(what);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.what.len()
    }

    /// Each that is in there, and as what.
    pub fn found_in(&self, haystack: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..haystack.len().saturating_sub(LOOKUP - 1) {
            let start: [u8; LOOKUP] = haystack[at..at + LOOKUP].try_into().expect("it is as long");
            for form in self.index.get(&start).into_iter().flatten() {
                let (what, form, bytes) = &self.forms[*form];
                if haystack[at..].starts_with(bytes) {
                    found.push(format!("{} ({form})", self.what[*what]));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// In hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Plain, hexadecimal, base64 (of either alphabet, at any place of a longer text) and URL-encoded.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let lower = hex(secret);
    let percent = secret.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    });
    let encoded: String = url::form_urlencoded::byte_serialize(secret).collect();
    let mut forms = vec![
        ("plain", secret.to_vec()),
        ("hexadecimal", lower.to_uppercase().into_bytes()),
        ("hexadecimal", lower.into_bytes()),
        ("URL-encoded", percent.to_lowercase().into_bytes()),
        ("URL-encoded", percent.into_bytes()),
        ("URL-encoded", encoded.replace('+', "%20").into_bytes()),
        ("URL-encoded", encoded.into_bytes()),
    ];
    for before in 0..3 {
        let text = [&[0; 3][..before], secret].concat();
        // What depends on the neighbours is cut off.
        let (from, to) = ([0, 2, 3][before], text.len() / 3 * 4 + [0, 1, 2][text.len() % 3]);
        for (form, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            forms.push((form, engine.encode(&text).into_bytes()[from..to].to_vec()));
        }
    }
    forms.sort_by(|one, other| one.1.cmp(&other.1));
    forms.dedup_by(|one, other| one.1 == other.1);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_form_and_nothing_else() {
        let secret = b"\xffa secret/with+signs\xfe";
        let mut needles = Needles::default();
        needles.add("it", secret);
        let around = |middle: &[u8]| [b"before ", middle, b" after"].concat();
        for text in [secret.to_vec(), hex(secret).into_bytes(), hex(secret).to_uppercase().into_bytes()] {
            assert_eq!(needles.found_in(&around(&text)).len(), 1);
        }
        for length in 0..7 {
            let longer = [&b"xxxxxxxx"[..length], secret, &b"yyyyyyyy"[length..]].concat();
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                assert_eq!(needles.found_in(engine.encode(&longer).as_bytes()).len(), 1, "{length}");
            }
        }
        let encoded: String = url::form_urlencoded::byte_serialize(secret).collect();
        assert_eq!(needles.found_in(&around(encoded.as_bytes())), ["it (URL-encoded)"]);
        assert_eq!(needles.found_in(&around(&secret[1..])), [""; 0]);
        assert_eq!(needles.found_in(b""), [""; 0]);
    }
}
