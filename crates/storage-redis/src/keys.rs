use std::str::FromStr as _;

use model::Id;
use storage::{Owner, Place};

/// The names of what we keep, all behind one prefix.
///
/// Invariant: nothing without the prefix is ever read or written.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    /// `None` if the prefix is empty or means something else in a pattern, a key or an ACL.
    pub(crate) fn new(prefix: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let prefix = prefix.strip_suffix(':').unwrap_or(prefix).to_owned();
        (!prefix.is_empty() && prefix.bytes().all(plain)).then_some(Self { prefix })
    }

    /// A value's. No two values need to be in one slot of a cluster: there is no hash tag.
    pub(crate) fn value(&self, at: Place<'_>) -> String {
        self.name(at.owner, at.collection.name, at.key)
    }

    /// A value's, of a collection that is known by name only.
    pub(crate) fn name(&self, owner: Owner, collection: &str, key: &str) -> String {
        format!("{}:value:{owner}:{collection}:{key}", self.prefix)
    }

    /// A key where no value is.
    pub(crate) fn probe(&self) -> String {
        format!("{}:value:", self.prefix)
    }

    /// The pattern of all values.
    pub(crate) fn values(&self) -> String {
        format!("{}:value:*", self.prefix)
    }

    /// What [`Keys::value`] was made of.
    pub(crate) fn place<'a>(&self, key: &'a str) -> Option<(Owner, &'a str, &'a str)> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix(":value:")?;
        let (owner, rest) = rest.split_once(':')?;
        let (collection, key) = rest.split_once(':')?;
        let owner = match owner.split_once('_') {
            None if owner == "platform" => Owner::Platform,
            Some(("ten", _)) => Owner::Tenant(Id::from_str(owner).ok()?),
            Some(("usr", _)) => Owner::User(Id::from_str(owner).ok()?),
            _ => return None,
        };
        Some((owner, collection, key))
    }

    /// The stream of usage counts.
    pub(crate) fn usage(&self) -> String {
        format!("{}:usage", self.prefix)
    }

    /// The channel of hints.
    pub(crate) fn hints(&self) -> String {
        format!("{}:hint", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use storage::{Collection, Durability};

    use super::*;

    #[test]
    fn a_key_tells_its_place() {
        let keys = Keys::new("portico").unwrap();
        let collection = Collection { name: "things", durability: Durability::Volatile, format: 1, reads: &[] };
        let tenant = Id::from_bytes(&[7; 16]).unwrap();
        let user = Id::from_bytes(&[7; 16]).unwrap();
        for owner in [Owner::Platform, Owner::Tenant(tenant), Owner::User(user)] {
            for key in ["", "k", "a:b", "ten_x:y", "{tag}*"] {
                let name = keys.value(Place { owner, collection, key });
                assert_eq!(keys.place(&name), Some((owner, "things", key)), "{name}");
            }
        }
    }

    #[test]
    fn other_keys_are_none_of_ours() {
        let keys = Keys::new("portico").unwrap();
        for key in ["portico:value:nobody:c:k", "other:value:platform:c:k", "portico2:value:platform:c:k", "portico:x"]
        {
            assert!(keys.place(key).is_none(), "{key}");
        }
    }

    #[test]
    fn a_prefix_is_a_plain_word() {
        for bad in ["", ":", "a b", "a*", "a?", "[a]", "{a}", "ä"] {
            assert!(Keys::new(bad).is_none(), "{bad}");
        }
        assert_eq!(Keys::new("a:b:").unwrap().hints(), "a:b:hint");
    }
}
