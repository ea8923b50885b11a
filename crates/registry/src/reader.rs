//! Reads TOML that people write, and reports everything that is wrong with it at once: each fault with
//! its line and key. `apply` files and the configuration are read with it.

use std::{cell::RefCell, collections::BTreeSet, fmt, ops::Range, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which line, counted from 1; `None` when the value does not stand in the text.
    pub line: Option<usize>,
    /// At which key: `tenant[1].server[0].slug`. Empty for the whole text.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Collects faults while a text is read.
#[derive(Debug)]
pub struct Faults {
    /// Where each line begins.
    lines: Vec<usize>,
    list: RefCell<Vec<Fault>>,
    /// Every key that was asked for, there or not.
    asked: RefCell<BTreeSet<String>>,
}

impl Faults {
    /// For the faults of `text`.
    pub fn of(text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { lines, list: RefCell::default(), asked: RefCell::default() }
    }

    /// Adds a fault.
    #[expect(clippy::needless_pass_by_value, reason = "texts and errors alike, wherever they come from")]
    pub fn add(&self, span: &Range<usize>, key: impl Into<String>, message: impl ToString) {
        let line = (!span.is_empty()).then(|| self.lines.partition_point(|start| *start <= span.start));
        self.list.borrow_mut().push(Fault { line, key: key.into(), message: message.to_string() });
    }

    /// Every key that was asked for and that is not a table: what a text may have.
    pub fn asked(&self) -> BTreeSet<String> {
        let asked = self.asked.borrow();
        let is_table = |key: &String| asked.iter().any(|other| other.starts_with(&format!("{key}.")));
        asked.iter().filter(|key| !is_table(key)).cloned().collect()
    }

    /// All faults, in the order of the text.
    pub fn into_vec(self) -> Vec<Fault> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|fault| fault.line);
        list
    }
}

/// Parses `text`; what does not parse is noted, and the rest is there to be read.
pub fn parse<'a>(text: &'a str, faults: &'a Faults) -> DeTable<'a> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // What is missing has an empty span, and still a place.
        let at = error.span().unwrap_or_default().start;
        faults.add(&(at..at + 1), "", error.message());
    }
    table.into_inner()
}

/// A table that is being read: keys are taken out of it, and what is left at the end is unknown.
#[derive(Debug)]
pub struct Table<'a> {
    entries: DeTable<'a>,
    key: String,
    span: Range<usize>,
    faults: &'a Faults,
}

/// A value with its place.
#[derive(Debug)]
pub struct Item<'a> {
    value: DeValue<'a>,
    key: String,
    span: Range<usize>,
    faults: &'a Faults,
}

impl<'a> Table<'a> {
    /// The table at the root of a text.
    pub fn root(table: DeTable<'a>, faults: &'a Faults) -> Self {
        Self { entries: table, key: String::new(), span: 0..0, faults }
    }

    /// Takes the value of a key.
    pub fn take(&mut self, name: &str) -> Option<Item<'a>> {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        self.faults.asked.borrow_mut().insert(key.clone());
        let value = self.entries.remove(name)?;
        Some(Item { span: value.span(), value: value.into_inner(), key, faults: self.faults })
    }

    /// A key that must be there, parsed.
    pub fn required<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let Some(item) = self.take(name) else {
            self.fault(name, "is missing");
            return None;
        };
        item.parse()
    }

    /// A key that may be there, parsed.
    pub fn optional<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        self.take(name)?.parse()
    }

    /// A key that is true or false; false if it is not there.
    pub fn flag(&mut self, name: &str) -> bool {
        self.take(name).and_then(Item::boolean).unwrap_or_default()
    }

    /// The tables of a key: `[[key]]`, or an array of inline tables.
    pub fn tables(&mut self, name: &str) -> Vec<Table<'a>> {
        self.take(name).map(Item::array).unwrap_or_default().into_iter().filter_map(Item::table).collect()
    }

    /// The table of a key; an empty one if it is not there.
    #[must_use]
    pub fn table(&mut self, name: &str) -> Table<'a> {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        let (span, faults) = (self.span.clone(), self.faults);
        self.take(name).and_then(Item::table).unwrap_or_else(|| Table {
            entries: DeTable::default(),
            key,
            span,
            faults,
        })
    }

    /// Notes a fault at a key of this table.
    pub fn fault(&self, name: &str, message: impl ToString) {
        let separator = if self.key.is_empty() || name.is_empty() { "" } else { "." };
        self.faults.add(&self.span, format!("{}{separator}{name}", self.key), message);
    }

    /// Ends the reading: every key that was not taken is a fault.
    pub fn finish(self) {
        for (name, value) in self.entries {
            let separator = if self.key.is_empty() { "" } else { "." };
            let span = if name.span().is_empty() { value.span() } else { name.span() };
            self.faults.add(&span, format!("{}{separator}{}", self.key, name.get_ref()), "is not a known key");
        }
    }
}

/// Where a value stands, to note faults there after the value was read.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    key: String,
    span: Range<usize>,
    faults: &'a Faults,
}

impl Place<'_> {
    /// Notes a fault.
    pub fn add(&self, message: impl ToString) {
        self.faults.add(&self.span, &*self.key, message);
    }
}

impl<'a> Item<'a> {
    /// Where the value stands.
    pub fn place(&self) -> Place<'a> {
        Place { key: self.key.clone(), span: self.span.clone(), faults: self.faults }
    }

    /// Notes a fault at this value.
    pub fn fault(&self, message: impl ToString) {
        self.faults.add(&self.span, &*self.key, message);
    }

    /// The value as text.
    pub fn text(self) -> Option<String> {
        match &self.value {
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => self.wrong("a text", other.type_str()),
        }
    }

    /// The value as text, parsed.
    pub fn parse<T: FromStr<Err: fmt::Display>>(self) -> Option<T> {
        let DeValue::String(text) = &self.value else {
            return self.wrong("a text", self.value.type_str());
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(error);
                None
            }
        }
    }

    /// The value as true or false; as text too, which is all that the environment has.
    pub fn boolean(self) -> Option<bool> {
        match &self.value {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(text) if matches!(&**text, "true" | "false") => Some(*text == "true"),
            other => self.wrong("true or false", other.type_str()),
        }
    }

    /// The value as a whole number in a range; as text too, which is all that the environment has.
    pub fn number(self, range: Range<u64>) -> Option<u64> {
        let number = match &self.value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()),
            DeValue::String(text) => text.parse(),
            other => return self.wrong("a whole number", other.type_str()),
        };
        match number {
            Ok(value) if range.contains(&value) => Some(value),
            _ => {
                self.fault(format!("use a number from {} to {}", range.start, range.end - 1));
                None
            }
        }
    }

    /// The parsed values of an array of texts, or of a text with commas, which is all that the environment
    /// has.
    pub fn list<T: FromStr<Err: fmt::Display>>(self) -> Vec<T> {
        let DeValue::String(text) = &self.value else {
            return self.array().into_iter().filter_map(Item::parse).collect();
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.filter_map(|part| part.parse().map_err(|error| self.fault(error)).ok()).collect()
    }

    /// The values of an array.
    pub fn array(self) -> Vec<Item<'a>> {
        let DeValue::Array(values) = self.value else {
            return self.wrong("an array", self.value.type_str()).unwrap_or_default();
        };
        let (key, faults) = (self.key, self.faults);
        let item = |(at, value): (usize, Spanned<DeValue<'a>>)| Item {
            span: value.span(),
            value: value.into_inner(),
            key: format!("{key}[{at}]"),
            faults,
        };
        values.into_iter().enumerate().map(item).collect()
    }

    /// The value as a table.
    pub fn table(self) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(table) => {
                Some(Table { entries: table, key: self.key, span: self.span, faults: self.faults })
            }
            ref other => self.wrong("a table", other.type_str()),
        }
    }

    fn wrong<T>(&self, wanted: &str, found: &str) -> Option<T> {
        self.fault(format!("use {wanted}; this is of type {found}"));
        None
    }
}

#[cfg(test)]
mod tests {
    use model::ServerSlug;

    use super::*;

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let text = "slug = \"A\"\nextra = 1\n\n[[server]]\nslug = \"ok\"\n[[server]]\nslug = 5\nlive = \"yes\"\n";
        let faults = Faults::of(text);
        let mut root = Table::root(parse(text, &faults), &faults);
        assert_eq!(root.required::<ServerSlug>("slug"), None);
        assert_eq!(root.required::<ServerSlug>("name"), None);
        for mut server in root.tables("server") {
            server.required::<ServerSlug>("slug");
            server.flag("live");
            server.finish();
        }
        root.finish();
        let found: Vec<_> = faults.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "name: is missing",
                "line 1: slug: use 2 to 30 of a-z and 0-9, with single dashes inside",
                "line 2: extra: is not a known key",
                "line 7: server[1].slug: use a text; this is of type integer",
                "line 8: server[1].live: use true or false; this is of type string",
            ]
        );
    }

    #[test]
    fn text_that_is_no_toml_is_a_fault_with_its_line() {
        let text = "a = 1\nb = \n";
        let faults = Faults::of(text);
        parse(text, &faults);
        let found = faults.into_vec();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, Some(2));
    }
}
