//! Text that somebody else's server or client wrote. Templates escape it; this makes visible what escaping
//! leaves invisible. Nothing is cut: whoever reviews must see all that a model would read.

use std::fmt::Write as _;

/// Text of a hosted server, ready for a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) text: String,
    /// Whether invisible characters were made visible in it.
    pub(crate) hidden: bool,
}

impl Foreign {
    /// Characters that are invisible or change the direction of what stands around them
    /// become `‹U+200B›`: a person who reviews must see what a model would read.
    pub(crate) fn new(text: &str) -> Self {
        let mut shown = Self::default();
        for c in text.chars() {
            match c {
                '\n' | '\t' => shown.text.push(c),
                '\r' => {}
                c if invisible(c) => {
                    shown.hidden = true;
                    write!(shown.text, "‹U+{:04X}›", u32::from(c)).expect("writing to a string cannot fail");
                }
                c => shown.text.push(c),
            }
        }
        shown.text.truncate(shown.text.trim_end().len());
        shown
    }
}

/// Characters that a reader does not see and a model does: controls, zero-width and direction marks,
/// variation selectors of the supplement, and the tag block, which spells ASCII invisibly.
fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_would_read_is_seen() {
        let plain = Foreign::new("Adds two numbers.\n\tÜber 日本 🙂\r\n");
        assert_eq!((plain.text.as_str(), plain.hidden), ("Adds two numbers.\n\tÜber 日本 🙂", false));
        for (text, shown) in [
            ("a\u{200b}b", "a‹U+200B›b"),
            ("\u{202e}cba", "‹U+202E›cba"),
            ("x\u{e0041}", "x‹U+E0041›"),
            ("\u{1b}[2J", "‹U+001B›[2J"),
        ] {
            assert_eq!(Foreign::new(text), Foreign { text: shown.to_owned(), hidden: true });
        }
    }
}
