//! A person with a browser and an AI application, as far as the benchmarks need them: from a sign-in to an
//! access token by the real authorization code flow.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use url::form_urlencoded::Serializer;

use super::http::{Answer, Request, once};

/// Where the application takes its answers. Nothing listens there, and nothing follows it.
const REDIRECT: &str = "https://client.example/callback";
/// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const FORM: &str = "application/x-www-form-urlencoded";

/// A browser that has signed in, and the application that the person uses.
pub(crate) struct Person {
    port: u16,
    cookies: BTreeMap<String, String>,
    client: String,
}

impl Person {
    /// Signs in with a local account, and registers an application.
    pub(crate) fn sign_in(port: u16, email: &str, password: &str) -> Result<Self> {
        let metadata = format!(
            r#"{{"client_name":"bench","redirect_uris":["{REDIRECT}"],"token_endpoint_auth_method":"none","grant_types":["authorization_code"]}}"#
        );
        let registered = once(port, &Request::post("/oauth/register", "application/json", metadata))?.expect(201)?;
        let client = member(&registered, "client_id")?;
        let mut person = Self { port, cookies: BTreeMap::new(), client };
        let page = person.open("/login")?.expect(200)?;
        let (csrf, back) = (field(&page, "csrf")?, field(&page, "return")?);
        let fields = [("csrf", &*csrf), ("return", &*back), ("email", email), ("password", password)];
        person.submit("/login", &fields)?.expect(303).context("signing in")?;
        Ok(person)
    }

    /// Consents to the application's use of a server; the access token.
    pub(crate) fn token(&mut self, resource: &str) -> Result<String> {
        let client = self.client.clone();
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", &client),
            ("redirect_uri", REDIRECT),
            ("scope", "mcp:read mcp:tools"),
            ("state", "state"),
            ("resource", resource),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let page = self.follow(&format!("/oauth/authorize?{query}"))?.expect(200)?;
        let (csrf, txn, account) = (field(&page, "csrf")?, field(&page, "txn")?, field(&page, "account")?);
        let fields = [("csrf", &*csrf), ("txn", &*txn), ("account", &*account), ("decision", "allow")];
        let sent = self.submit("/oauth/consent", &fields)?.expect(303).context("consenting")?;
        let location = url::Url::parse(sent.header("location").unwrap_or_default())?;
        ensure!(location.as_str().starts_with(REDIRECT), "{location}");
        let code = location.query_pairs().find(|(name, _)| name == "code").context("no code")?.1.into_owned();
        let body = encode(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("client_id", &client),
            ("code_verifier", VERIFIER),
            ("resource", resource),
        ]);
        let answer = once(self.port, &Request::post("/oauth/token", FORM, body))?.expect(200)?;
        member(&answer, "access_token")
    }

    fn open(&mut self, path: &str) -> Result<Answer> {
        self.send(Request::get(path))
    }

    fn follow(&mut self, path: &str) -> Result<Answer> {
        let mut answer = self.open(path)?;
        for _ in 0..8 {
            if !(300..400).contains(&answer.status) {
                break;
            }
            let location = answer.header("location").context("a redirect to nowhere")?.to_owned();
            let own = format!("http://127.0.0.1:{}", self.port);
            answer = self.open(location.strip_prefix(&own).unwrap_or(&location))?;
        }
        Ok(answer)
    }

    fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let origin = format!("http://127.0.0.1:{}", self.port);
        self.send(Request::post(path, FORM, encode(fields)).with("origin", origin))
    }

    fn send(&mut self, request: Request) -> Result<Answer> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = once(self.port, &request.with("accept", "text/html").with("cookie", cookies.join("; ")))?;
        for set in answer.all("set-cookie") {
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).context("not a cookie")?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(answer)
    }
}

fn encode(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The value of a page's first form field of this name.
fn field(page: &Answer, name: &str) -> Result<String> {
    let value = between(&page.body, &format!("name=\"{name}\" value=\""));
    let value = value.with_context(|| format!("no field {name}: {}", page.body))?;
    Ok(value.replace("&#38;", "&").replace("&amp;", "&"))
}

/// A text member of a JSON object whose value has nothing escaped in it.
fn member(answer: &Answer, name: &str) -> Result<String> {
    let value = between(&answer.body, &format!("\"{name}\":\""));
    Ok(value.with_context(|| format!("no {name}: {}", answer.body))?.to_owned())
}

/// What follows `before`, up to a quotation mark.
fn between<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once('"').map(|(value, _)| value)
}
