//! Lists that may be longer than a page.

use std::{fmt::Display, str::FromStr};

/// How many entries a page shows of a list.
pub(crate) const SHOWN: u32 = 50;

/// Where a page begins in a list: behind an entry that the query names, or with the first one.
#[derive(Debug)]
pub(crate) struct Turn<K> {
    path: String,
    /// The parameter of the query, and the id of the list on the page.
    name: &'static str,
    pub(crate) from: Option<K>,
    shown: u32,
}

/// The links under a list; none where the page shows all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) first: Option<String>,
    pub(crate) next: Option<String>,
}

impl<K: FromStr + Display> Turn<K> {
    /// Reads the parameter `name` of a query. What is no key is as if it were not there.
    pub(crate) fn read(path: String, name: &'static str, query: Option<&str>) -> Self {
        let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let from = pairs.find(|(found, _)| found == name).and_then(|(_, key)| key.parse().ok());
        Self { path, name, from, shown: SHOWN }
    }

    /// The same, for another number of entries.
    pub(crate) fn showing(self, shown: u32) -> Self {
        Self { shown, ..self }
    }

    /// How many entries to read: one more than is shown, which tells whether there are more.
    pub(crate) fn limit(&self) -> u32 {
        self.shown + 1
    }

    /// Cuts a list to what is shown.
    pub(crate) fn cut<T>(&self, entries: &mut Vec<T>, key: impl Fn(&T) -> K) -> Links {
        let (path, name, shown) = (&self.path, self.name, self.shown as usize);
        let more = entries.len() > shown;
        entries.truncate(shown);
        // Slugs and ids have nothing to encode.
        let last = entries.last().filter(|_| more);
        Links {
            first: self.from.as_ref().map(|_| format!("{path}#{name}")),
            next: last.map(|last| format!("{path}?{name}={}#{name}", key(last))),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ServerSlug;

    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let all: Vec<ServerSlug> = (10..17).map(|at| format!("s-{at}").parse().unwrap()).collect();
        let (mut seen, mut query) = (Vec::new(), None::<String>);
        loop {
            let turn = Turn::read("/t/acme".to_owned(), "servers", query.as_deref()).showing(3);
            let behind = |slug: &&ServerSlug| turn.from.as_ref().is_none_or(|from| **slug > *from);
            let mut page: Vec<_> = all.iter().filter(behind).take(turn.limit() as usize).cloned().collect();
            let links = turn.cut(&mut page, Clone::clone);
            assert!(page.len() <= 3);
            assert_eq!(links.first.is_some(), query.is_some());
            seen.extend(page);
            let Some(next) = links.next else { break };
            query = Some(next.strip_prefix("/t/acme?").unwrap().strip_suffix("#servers").unwrap().to_owned());
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn what_is_no_key_is_not_there() {
        for query in [None, Some(""), Some("done=live"), Some("servers=Not_A_Slug"), Some("other=echo")] {
            let turn: Turn<ServerSlug> = Turn::read("/t/acme".to_owned(), "servers", query);
            assert!(turn.from.is_none(), "{query:?}");
            assert_eq!(turn.cut(&mut vec!["echo".parse().unwrap()], Clone::clone), Links::default());
        }
    }
}
