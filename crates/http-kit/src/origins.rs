use url::Url;

/// Where the installation is reached, as configuration says: `scheme://host[:port]`, without a trailing
/// slash. On a single box all three are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// Sign-in, consent and the OAuth endpoints. Also the issuer, byte for byte.
    pub auth: String,
    /// MCP endpoints and their metadata. Never sets or reads a cookie.
    pub mcp: String,
    /// The console.
    pub app: String,
}

/// The text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin: write http(s)://host or http(s)://host:port, in lower case, with nothing after it")]
pub struct InvalidOrigin(String);

impl Origins {
    /// The same origin for everything. Accepts one trailing slash, since people write base URLs with it.
    pub fn single(base: &str) -> Result<Self, InvalidOrigin> {
        let origin = parse(base)?;
        Ok(Self { auth: origin.clone(), mcp: origin.clone(), app: origin })
    }

    /// An origin for each part.
    pub fn new(auth: &str, mcp: &str, app: &str) -> Result<Self, InvalidOrigin> {
        Ok(Self { auth: parse(auth)?, mcp: parse(mcp)?, app: parse(app)? })
    }

    /// Whether browsers reach us over TLS: cookies then are `Secure` and have the `__Host-` prefix.
    pub fn https(&self) -> bool {
        self.auth.starts_with("https://") && self.app.starts_with("https://")
    }

    /// What a `Host` header may say: `host[:port]` of each origin.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        [&self.auth, &self.mcp, &self.app].into_iter().filter_map(|o| o.split_once("://").map(|(_, host)| host))
    }

    /// Whether browser pages live at this origin, so that their forms may come from it.
    pub fn has_pages(&self, origin: &str) -> bool {
        origin == self.auth || origin == self.app
    }

    /// The name of a cookie: behind `__Host-` where the browser honours that prefix, which is https only.
    pub fn cookie(&self, name: &str) -> String {
        if self.https() { format!("__Host-{name}") } else { name.to_owned() }
    }
}

/// Holds an origin to the one form that browsers send it in.
fn parse(text: &str) -> Result<String, InvalidOrigin> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let invalid = || InvalidOrigin(text.to_owned());
    let url = Url::parse(origin).map_err(|_| invalid())?;
    // What is not byte-equal to its serialization has user information, a path, a default port, …
    let plain = matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == origin;
    if plain { Ok(origin.to_owned()) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_one_form() {
        for good in ["http://127.0.0.1:8080", "https://auth.example.com", "https://auth.example.com/", "http://[::1]:9"]
        {
            assert!(Origins::single(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "auth.example.com",
            "ftp://a",
            "https://A.example",
            "https://a.example:443",
            "https://a.example/x",
            "https://a.example//",
            "https://u@a.example",
            "https://a.example?x",
            "https://a.example#x",
            "https:/a",
        ] {
            assert!(Origins::single(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn https_decides_the_cookie_prefix() {
        assert_eq!(Origins::single("https://a.example").unwrap().cookie("portico"), "__Host-portico");
        assert_eq!(Origins::single("http://127.0.0.1:1").unwrap().cookie("portico"), "portico");
    }
}
