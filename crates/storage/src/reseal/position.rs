use std::{fmt, str::FromStr};

use crate::Cursor;

/// Where sealing anew stands: which store, and where in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResealPosition {
    pub(super) part: usize,
    pub(super) cursor: Option<Cursor>,
}

impl ResealPosition {
    /// Behind a page: further on in the same store, or at the beginning of the next one.
    pub(super) fn next(&self, cursor: Option<Cursor>) -> Self {
        let part = if cursor.is_some() { self.part } else { self.part + 1 };
        Self { part, cursor }
    }
}

/// As an operator gives it back: `0:ten_…/session/…`.
impl fmt::Display for ResealPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.part)?;
        self.cursor.as_ref().map_or(Ok(()), |cursor| cursor.fmt(f))
    }
}

/// The text is not a position that was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position that was printed")]
pub struct InvalidPosition;

impl FromStr for ResealPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (part, cursor) = text.split_once(':').ok_or(InvalidPosition)?;
        let part = part.parse().map_err(|_| InvalidPosition)?;
        Ok(Self { part, cursor: (!cursor.is_empty()).then(|| Cursor::new(cursor)) })
    }
}
