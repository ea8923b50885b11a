use percent_encoding::percent_decode;

/// The parameters of a query or of an `application/x-www-form-urlencoded` body.
///
/// Invariant: no name occurs twice, and no value is empty: a parameter without a value counts as left
/// out (RFC 6749 §3.1).
#[derive(Clone, Default)]
pub struct Params(Vec<(String, String)>);

/// The text is not a set of parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParams {
    /// A name occurs twice (RFC 6749 §3.1). The name is for deciding, not for showing.
    #[error("a parameter is repeated")]
    Repeated(String),
    /// Broken percent-encoding, or not UTF-8.
    #[error("a parameter is not encoded correctly")]
    Encoding,
    /// More parameters than any request has.
    #[error("there are too many parameters")]
    TooMany,
}

/// The most parameters that are read.
const MAX: usize = 64;

impl Params {
    /// Reads parameters strictly: what one parser would understand differently from another is an error.
    pub fn parse(text: &str) -> Result<Self, InvalidParams> {
        let mut all: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (form_decode(name)?, form_decode(value)?);
            if all.iter().any(|(other, _)| *other == name) {
                return Err(InvalidParams::Repeated(name));
            }
            if all.len() == MAX {
                return Err(InvalidParams::TooMany);
            }
            all.push((name, value));
        }
        all.retain(|(_, value)| !value.is_empty());
        Ok(Self(all))
    }

    /// A parameter's value; `None` if it was left out or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The names only: values may be secrets.
impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Decodes one part of a form: `+` is a space, `%` needs two hexadecimal digits, the result is UTF-8.
pub(super) fn form_decode(text: &str) -> Result<String, InvalidParams> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, byte)| {
        let digit = |offset: usize| bytes.get(at + offset).is_some_and(u8::is_ascii_hexdigit);
        *byte == b'%' && !(digit(1) && digit(2))
    });
    if broken {
        return Err(InvalidParams::Encoding);
    }
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().map(Into::into).map_err(|_| InvalidParams::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_forms() {
        let params = Params::parse("a=1&b=x+y%2Bz&c=&d&e=%C3%BC&").unwrap();
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.get("b"), Some("x y+z"));
        assert_eq!((params.get("c"), params.get("d"), params.get("f")), (None, None, None));
        assert_eq!(params.get("e"), Some("ü"));
        assert_eq!(format!("{params:?}"), r#"["a", "b", "e"]"#);
    }

    #[test]
    fn refuses_what_parsers_could_disagree_on() {
        for (text, error) in [
            ("a=1&a=1", InvalidParams::Repeated("a".into())),
            ("a=&a=1", InvalidParams::Repeated("a".into())),
            ("a=1&%61=2", InvalidParams::Repeated("a".into())),
            ("a=%", InvalidParams::Encoding),
            ("a=%4", InvalidParams::Encoding),
            ("a=%zz", InvalidParams::Encoding),
            ("a=%ff", InvalidParams::Encoding),
        ] {
            assert_eq!(Params::parse(text).unwrap_err(), error, "{text}");
        }
        let many = (0..=MAX).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(Params::parse(&many).unwrap_err(), InvalidParams::TooMany);
    }
}
