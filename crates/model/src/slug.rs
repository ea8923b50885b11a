use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

/// Words that stand where a slug could stand in a URL, so no tenant and no server has them.
pub const RESERVED_SLUGS: &[&str] = &[
    "mcp",
    "sse",
    "members",
    "groups",
    "connections",
    "activity",
    "settings",
    "new",
    "api",
    "oauth",
    "login",
    "static",
];

/// A name in a URL. `MIN` is its shortest length in bytes: 3 for tenants, 2 for servers and connections.
///
/// Invariant: matches `[a-z0-9]+(-[a-z0-9]+)*`, `MIN` to 30 bytes, and is not one of [`RESERVED_SLUGS`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Slug<const MIN: usize>(Box<str>, #[serde(skip)] PhantomData<()>);

/// A tenant's name in URLs.
pub type TenantSlug = Slug<3>;
/// A server's name in URLs, unique within its tenant.
pub type ServerSlug = Slug<2>;

/// The text is not a slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSlug {
    /// The form is wrong.
    #[error("use {0} to 30 of a-z and 0-9, with single dashes inside")]
    Form(usize),
    /// The word has a meaning of its own in URLs.
    #[error("this word is reserved")]
    Reserved,
}

impl<const MIN: usize> Slug<MIN> {
    /// The slug's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize> FromStr for Slug<MIN> {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let legal = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let dashes = text.starts_with('-') || text.ends_with('-') || text.contains("--");
        if !legal || dashes || !(MIN..=30).contains(&text.len()) {
            return Err(InvalidSlug::Form(MIN));
        }
        if RESERVED_SLUGS.contains(&text) {
            return Err(InvalidSlug::Reserved);
        }
        Ok(Self(text.into(), PhantomData))
    }
}

impl<const MIN: usize> fmt::Display for Slug<MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MIN: usize> Deserialize<'de> for Slug<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What people call a thing: shown on pages, never used in a decision.
///
/// Invariant: 1 to 80 characters after trimming, no control characters and none that change the
/// direction or visibility of text, so that a name cannot disguise what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Box<str>);

/// The text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use 1 to 80 visible characters")]
pub struct InvalidName;

impl Name {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character is invisible or changes the direction of text around it.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if (1..=80).contains(&text.chars().count()) && !text.chars().any(is_deceptive) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_have_one_form() {
        for good in ["abc", "a-b", "a1-b2-c3", "abcdefghijklmnopqrstuvwxyz0123"] {
            assert!(good.parse::<TenantSlug>().is_ok(), "{good}");
        }
        for bad in ["", "ab", "A-b", "a--b", "-ab", "ab-", "a_b", "a.b", "über", "abcdefghijklmnopqrstuvwxyz01234"] {
            assert_eq!(bad.parse::<TenantSlug>(), Err(InvalidSlug::Form(3)), "{bad}");
        }
        assert_eq!("oauth".parse::<ServerSlug>(), Err(InvalidSlug::Reserved));
        assert!("ab".parse::<ServerSlug>().is_ok());
    }

    #[test]
    fn names_do_not_deceive() {
        assert_eq!("  Acme GmbH ".parse::<Name>().unwrap().as_str(), "Acme GmbH");
        for bad in ["", "   ", "a\nb", "abc\u{202e}def", "\u{200b}", &"x".repeat(81)] {
            assert_eq!(bad.parse::<Name>(), Err(InvalidName), "{bad:?}");
        }
    }
}
