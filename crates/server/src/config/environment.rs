//! The environment and the command line, laid over the file.

use std::collections::HashMap;

use registry::reader::{Fault, Faults};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Overrides;

/// What a variable of ours starts with.
const PREFIX: &str = "PORTICO_";

/// Puts variables over the table: `PORTICO_TOKENS__ACCESS=5m` is `tokens.access = "5m"`. Returns where
/// each key that is not the file's came from.
pub(super) fn lay_over(
    table: &mut DeTable<'_>,
    variables: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
    faults: &Faults,
) -> HashMap<String, String> {
    let mut names = HashMap::new();
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let path = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        if put(table, &path, value) {
            names.insert(path, name);
        } else {
            faults.add(&(0..0), name, "cannot stand over what the file has there");
        }
    }
    for (path, flag, value) in
        [("listen", "--listen", &overrides.listen), ("base_url", "--base-url", &overrides.base_url)]
    {
        if let Some(value) = value {
            put(table, path, value.clone());
            names.insert(path.to_owned(), flag.to_owned());
        }
    }
    names
}

/// Sets a dotted path; `false` if there is something on the way that is no table.
fn put(table: &mut DeTable<'_>, path: &str, value: String) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let key = || Spanned::new(0..0, first.to_owned().into());
    let Some(rest) = rest else {
        table.remove(first);
        table.insert(key(), Spanned::new(0..0, DeValue::String(value.into())));
        return true;
    };
    if !table.contains_key(first) {
        table.insert(key(), Spanned::new(0..0, DeValue::Table(DeTable::default())));
    }
    match table.get_mut(first).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => put(inner, rest, value),
        _ => false,
    }
}

/// Names variables and flags in faults that are about them.
pub(super) fn name_sources(faults: &mut [Fault], names: &HashMap<String, String>) {
    for fault in faults {
        if let Some(name) = names.get(&fault.key) {
            fault.key = format!("{name} ({})", fault.key);
        }
    }
}
