use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use url::{Url, form_urlencoded};

/// The longest path that we send anybody back to, in bytes: an authorization request fits.
const LONGEST: usize = 4096;

/// Where a browser goes after sign-in.
///
/// Invariant: a path of this site with an optional query, printable ASCII, which no browser takes for
/// another host (`//evil`, `/\evil`) or for a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct ReturnPath(String);

impl ReturnPath {
    /// The path, if it is one of this site.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let ours = text.starts_with('/') && !text.starts_with("//");
        let clean = text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b));
        if !ours || !clean {
            return None;
        }
        // As browsers resolve it (WHATWG URL), whatever was missed above. A path that starts with two
        // slashes once its dots are resolved would be another host for whoever resolves it again.
        let base = Url::parse("http://site.invalid/login").expect("a legal URL");
        let resolved = base.join(text).ok()?;
        let stays = resolved.origin() == base.origin() && resolved.username().is_empty();
        (stays && !resolved.path().starts_with("//")).then(|| Self(text.to_owned()))
    }

    /// The path, or the start page for whatever is none.
    pub(crate) fn or_home(text: &str) -> Self {
        Self::new(text).unwrap_or_else(Self::home)
    }

    /// The start page.
    pub(crate) fn home() -> Self {
        Self("/".to_owned())
    }

    /// The path and query.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReturnPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| de::Error::custom("not a path of this site"))
    }
}

/// The path of the sign-in page that leads back to `back`.
pub fn login_path(back: &str) -> String {
    if back == "/" {
        return super::login::PATH.to_owned();
    }
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("return", back).finish();
    format!("{}?{query}", super::login::PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site() {
        for good in ["/", "/t/acme", "/oauth/authorize?client_id=c_1&scope=a%20b&state=%22", "/a/../b", "/?x=//y"] {
            assert_eq!(ReturnPath::or_home(good).as_str(), good);
        }
        for bad in [
            "",
            "t/acme",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "/a\\..\\evil",
            "https://evil",
            "https:evil",
            "https:/evil",
            "javascript:alert(1)",
            "/\t/evil",
            "/\n/evil",
            "\t//evil",
            " //evil",
            "/ /evil",
            "/\0",
            "/\u{7f}",
            "/\r\nLocation: https://evil",
            "/ümlaut",
            "/a<b",
            "/.//evil",
            "/x/..//evil",
            "/%2e//evil",
            "http://site.invalid/",
        ] {
            assert_eq!(ReturnPath::new(bad), None, "{bad:?}");
        }
        assert_eq!(ReturnPath::new(&format!("/{}", "x".repeat(LONGEST))), None);
    }

    #[test]
    fn the_way_back_is_one_parameter() {
        assert_eq!(login_path("/"), "/login");
        assert_eq!(login_path("/a?b=c&d=e"), "/login?return=%2Fa%3Fb%3Dc%26d%3De");
    }
}
