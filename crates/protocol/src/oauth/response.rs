use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ErrorCode, error::legal, params::form_decode};

/// Everything but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The members of an authorization response: what a registered query has under these names is replaced,
/// so that no client takes a registered value for ours.
const OURS: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// Encodes a value for a query.
pub fn percent_encode(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// What goes back to the client through the browser (RFC 6749 §4.1.2, RFC 9207).
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationResponse<'a> {
    /// Our issuer.
    pub issuer: &'a str,
    /// The client's `state`, exactly, if it sent one.
    pub state: Option<&'a str>,
    /// The code, or an error with its description.
    pub outcome: Result<&'a str, (ErrorCode, &'a str)>,
}

impl AuthorizationResponse<'_> {
    /// The URL to send the browser to. The registered query stays as it is, except for our own members.
    pub fn url(&self, redirect_uri: &str) -> String {
        let (base, query) =
            redirect_uri.split_once('?').map_or((redirect_uri, None), |(base, query)| (base, Some(query)));
        let is_ours = |pair: &str| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            form_decode(name).map_or(true, |name| OURS.contains(&name.as_str()))
        };
        let kept = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_ours(pair));
        let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
        let mut add = |name: &str, value: &str| pairs.push(format!("{name}={}", percent_encode(value)));
        match self.outcome {
            Ok(code) => add("code", code),
            Err((code, description)) => {
                add("error", code.as_str());
                add("error_description", &legal(description));
            }
        }
        if let Some(state) = self.state {
            add("state", state);
        }
        add("iss", self.issuer);
        format!("{base}?{}", pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(state: Option<&str>) -> AuthorizationResponse<'_> {
        AuthorizationResponse { issuer: "https://auth.example.com", state, outcome: Ok("abc") }
    }

    #[test]
    fn keeps_the_registered_query_and_replaces_our_members() {
        let uri = "https://c.example/cb?tenant=a%20b&iss=evil&c%6fde=x&state=y&error=z&keep";
        assert_eq!(
            code(Some("s")).url(uri),
            "https://c.example/cb?tenant=a%20b&keep&code=abc&state=s&iss=https%3A%2F%2Fauth.example.com"
        );
    }

    #[test]
    fn state_comes_back_exactly_and_cannot_add_parameters() {
        let state = "a&code=evil#\r\nü=+ %";
        let url = code(Some(state)).url("http://127.0.0.1:1/cb");
        let query = url.split_once('?').unwrap().1;
        let params = super::super::Params::parse(query).unwrap();
        assert_eq!((params.get("state"), params.get("code")), (Some(state), Some("abc")));
        assert!(url.is_ascii() && !url.contains(['#', '\r', '\n', ' ']));
    }

    #[test]
    fn errors_carry_state_and_issuer() {
        let outcome = Err((ErrorCode::AccessDenied, "the person said no"));
        let response = AuthorizationResponse { issuer: "https://a", state: Some("x"), outcome };
        assert_eq!(
            response.url("com.example.app:/cb"),
            "com.example.app:/cb?error=access_denied&error_description=the%20person%20said%20no&state=x&iss=https%3A%2F%2Fa"
        );
    }
}
