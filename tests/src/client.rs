use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{Answer, Browser, ORIGIN, Site};

/// Where clients of the tests take their answers.
pub const REDIRECT: &str = "https://client.example/callback";
/// The PKCE verifier of all clients of the tests.
pub const VERIFIER: &str = "a-verifier-of-the-tests-that-is-long-enough-to-be-one";
const STATE: &str = "a state of the client";

/// An AI application that registered itself.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    site: &'a dyn Site,
    /// Its `client_id`.
    pub id: String,
}

/// What the token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// The whole answer.
    pub answer: Value,
}

impl<'a> Client<'a> {
    /// One of this name.
    pub async fn register(site: &'a dyn Site, name: &str) -> Self {
        let registered = Self::try_register(site, name).await.unwrap_or_else(|error| panic!("{error:#}"));
        registered.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// One that registered itself before.
    pub fn known(site: &'a dyn Site, id: &str) -> Self {
        Self { site, id: id.to_owned() }
    }

    /// The same as [`Client::register`], of an installation that may be away; or the answer that says no.
    pub async fn try_register(site: &'a dyn Site, name: &str) -> Result<Result<Self, Box<Answer>>> {
        let metadata = json!({
            "client_name": name,
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let headers = [("content-type", "application/json")];
        let answer = site.try_send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await?;
        if answer.status != 201 {
            return Ok(Err(Box::new(answer)));
        }
        Ok(Ok(Self { site, id: answer.json()["client_id"].as_str().expect("an id").to_owned() }))
    }

    /// The authorization URL for a resource path such as `/t/acme/demo/mcp`.
    pub fn authorize_path(&self, resource: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let resource = format!("{ORIGIN}{resource}");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", &self.id),
                ("redirect_uri", REDIRECT),
                ("scope", "mcp:read mcp:tools offline_access"),
                ("state", STATE),
                ("resource", &resource),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        format!("/oauth/authorize?{query}")
    }

    /// The consent page for a resource, in a browser that has signed in.
    pub async fn ask(&self, browser: &mut Browser<'_>, resource: &str) -> Answer {
        browser.follow(&self.authorize_path(resource)).await.expect(200)
    }

    /// Consent by whoever has signed in, up to the code.
    pub async fn code(&self, browser: &mut Browser<'_>, resource: &str) -> String {
        let page = self.ask(browser, resource).await;
        let answer = browser.decide(&page, "allow").await.expect(303);
        callback(answer.location(), "code")
    }

    /// The token endpoint's answer to a code.
    pub async fn redeem(&self, code: &str, resource: &str) -> Answer {
        self.try_redeem(code, resource).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The same, of an installation that may be away.
    pub async fn try_redeem(&self, code: &str, resource: &str) -> Result<Answer> {
        let resource = format!("{ORIGIN}{resource}");
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", &self.id),
            ("code_verifier", VERIFIER),
            ("resource", &resource),
        ])
        .await
    }

    /// The token endpoint's answer to a refresh token.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.try_refresh(token).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The same, of an installation that may be away.
    pub async fn try_refresh(&self, token: &str) -> Result<Answer> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &self.id)]).await
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.site.try_send(Method::POST, "/oauth/token", &headers, &body).await
    }

    /// The same application, which reaches the installation in another way from now on.
    pub fn at(self, site: &dyn Site) -> Client<'_> {
        Client { site, id: self.id }
    }

    /// The whole flow: consent by whoever has signed in, then tokens.
    pub async fn tokens(&self, browser: &mut Browser<'_>, resource: &str) -> Tokens {
        let code = self.code(browser, resource).await;
        Tokens::of(&self.redeem(&code, resource).await.expect(200))
    }
}

impl Tokens {
    /// The tokens of the token endpoint's answer.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), answer: answer.clone() }
    }
}

/// The code in an answer to the client's redirect URI, if it has one.
pub fn code_in(location: &str) -> Option<String> {
    let url = Url::parse(location).ok().filter(|_| location.starts_with(REDIRECT))?;
    url.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned())
}

/// A parameter of an answer to the client's redirect URI, whose `state` and `iss` are checked.
#[track_caller]
fn callback(location: &str, name: &str) -> String {
    let url = Url::parse(location).expect("a URL");
    assert!(location.starts_with(REDIRECT), "{location}");
    let get = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!((get("state").as_deref(), get("iss").as_deref()), (Some(STATE), Some(ORIGIN)), "{location}");
    get(name).unwrap_or_else(|| panic!("no {name} in {location}"))
}

/// A modern MCP request (2026-07-28): its headers and its body.
pub fn modern(method: &str, mut params: Value) -> (Vec<(&'static str, String)>, String) {
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("accept", "application/json, text/event-stream".to_owned()),
        ("mcp-protocol-version", "2026-07-28".to_owned()),
        ("mcp-method", method.to_owned()),
    ];
    if let Some(name) = params["name"].as_str() {
        headers.push(("mcp-name", name.to_owned()));
    }
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    (headers, json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())
}
