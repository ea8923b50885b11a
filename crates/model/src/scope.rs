use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One OAuth scope token (RFC 6749 §3.3): 1 to 64 of `%x21 / %x23-5B / %x5D-7E`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

/// The text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid scope")]
pub struct InvalidScope;

impl Scope {
    /// Discover, lists, reads, prompts.
    pub const READ: &'static str = "mcp:read";
    /// Also calls.
    pub const TOOLS: &'static str = "mcp:tools";
    /// A refresh token is wanted.
    pub const OFFLINE: &'static str = "offline_access";

    /// The scope's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let legal = text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if legal && (1..=64).contains(&text.len()) { Ok(Self(text.into())) } else { Err(InvalidScope) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes; prints as RFC 6749 §3.3 has it, space-separated, in a stable order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// What the default challenge asks for: `mcp:read mcp:tools`.
    pub fn challenge() -> Self {
        [Scope::READ, Scope::TOOLS].into_iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// All that the authorization server knows: the challenge and `offline_access`.
    pub fn supported() -> Self {
        let offline = Scope::OFFLINE.parse().ok();
        Self::challenge().0.into_iter().chain(offline).collect()
    }

    /// Whether the set grants `scope`. Invariant: `mcp:tools` contains `mcp:read`.
    pub fn grants(&self, scope: &str) -> bool {
        let has = |text: &str| self.0.iter().any(|own| own.as_str() == text);
        has(scope) || (scope == Scope::READ && has(Scope::TOOLS))
    }

    /// Whether every scope of `other` is in this set, literally.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.0.intersection(&other.0).cloned().collect()
    }

    /// Whether there is no scope in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    /// Parses a space-separated list; at most 50 scopes.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let set: Self = text.split(' ').filter(|part| !part.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        if set.0.len() <= 50 { Ok(set) } else { Err(InvalidScope) }
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_contains_read_and_not_the_reverse() {
        let tools: ScopeSet = "mcp:tools".parse().unwrap();
        let read: ScopeSet = "mcp:read".parse().unwrap();
        assert!(tools.grants(Scope::READ) && !read.grants(Scope::TOOLS));
        assert!(!tools.contains_all(&read));
    }

    #[test]
    fn a_list_prints_in_one_order() {
        assert_eq!("b a  b".parse::<ScopeSet>().unwrap().to_string(), "a b");
        assert_eq!("a\"b".parse::<ScopeSet>(), Err(InvalidScope));
    }
}
