//! Licence expressions: SPDX 2.3, annex D, and the older `A/B`, which cargo still accepts for `A OR B`.

use std::{collections::BTreeSet, iter::Peekable};

/// Whether an expression can be satisfied with allowed licences alone.
pub(crate) fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    // Words left over mean an expression that was not understood, and so not allowed.
    any(&mut words, allowed) && words.next().is_none()
}

/// `… OR …`, which binds weakest. All alternatives are read, whatever the first one gave.
fn any<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &BTreeSet<String>) -> bool {
    let mut satisfied = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        satisfied |= all(words, allowed);
    }
    satisfied
}

/// `… AND …`.
fn all<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &BTreeSet<String>) -> bool {
    let mut satisfied = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        satisfied &= one(words, allowed);
    }
    satisfied
}

/// A licence, perhaps `WITH` an exception, or an expression in brackets.
fn one<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => {
            let satisfied = any(words, allowed);
            satisfied & words.next_if_eq(&")").is_some()
        }
        Some(licence) => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            match exception {
                Some(exception) => {
                    allowed.contains(&format!("{licence} WITH {exception}")) || allowed.contains(licence)
                }
                None => allowed.contains(licence),
            }
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).into();
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("MIT OR (GPL-3.0-only AND Unicode-3.0)", true),
            ("(GPL-3.0-only OR AGPL-3.0-only) AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
            ("(MIT", false),
            ("MIT)", false),
            ("MIT Apache-2.0", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }
}
