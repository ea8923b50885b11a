use std::{str::FromStr, time::Duration};

use super::LogFormat;

/// A duration as people write it: a whole number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "use a whole number and s, m, h or d, for example 90s or 1h";
        let unit = match text.bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 60 * 60,
            Some(b'd') => 24 * 60 * 60,
            _ => return Err(WRONG),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WRONG);
        }
        let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).ok_or(WRONG)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("use text or json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(text.parse::<Span>(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for bad in ["", "5", "h", "1 h", "-1h", "1.5h", "1w", "1hh", "99999999999999999999d", "ü"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
