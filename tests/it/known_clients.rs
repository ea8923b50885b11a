//! The clients that people have, replayed: from the first unanswered call to a token, a call and a refresh.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tests::{Answer, ORIGIN, TestApp, Tokens, VERIFIER};

use crate::threats::document_host::{DocumentHost, Reply};

const DEMO: &str = "/t/acme/demo/mcp";

#[derive(Deserialize)]
struct Profiles {
    client: Vec<Profile>,
}

/// How one client comes.
#[derive(Deserialize)]
struct Profile {
    name: String,
    /// What it reads, in its order, after the first call was refused.
    discovery: Vec<String>,
    /// What it looks for in there.
    needs: Vec<String>,
    redirect: String,
    scope: String,
    /// What it makes of `resource`, if not what metadata says.
    resource: Option<String>,
    /// Its description, if its id is an address.
    document: Option<Value>,
    /// What it registers with otherwise.
    registration: Option<Value>,
}

impl Profile {
    /// Reads what the client reads, and checks what it looks for.
    async fn discover(&self, app: &TestApp) {
        let refused = app.call(DEMO, None, "tools/list", json!({})).await.expect(401);
        let challenge = refused.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains(&format!("resource_metadata=\"{ORIGIN}{}\"", self.discovery[0])), "{challenge}");
        let mut last = None;
        for path in &self.discovery {
            let answer = app.send(Method::GET, path, &[("origin", "http://localhost:6274")], "").await.expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{}", self.name);
            last = Some(answer.json());
        }
        let metadata = last.expect("it reads something");
        let methods = metadata["token_endpoint_auth_methods_supported"].as_array().expect("methods");
        for need in &self.needs {
            assert!(
                match need.as_str() {
                    "document" => metadata["client_id_metadata_document_supported"] == true,
                    "registration" => metadata["registration_endpoint"] == format!("{ORIGIN}/oauth/register"),
                    "none" => methods.iter().any(|method| method == "none"),
                    "iss" => metadata["authorization_response_iss_parameter_supported"] == true,
                    "cors" => true,
                    other => panic!("{other} is nothing to look for"),
                },
                "{}: {need}",
                self.name
            );
        }
    }

    /// The id that it goes by.
    async fn id(&self, app: &TestApp) -> String {
        if let Some(document) = &self.document {
            return document["client_id"].as_str().expect("an id").to_owned();
        }
        let metadata = self.registration.as_ref().expect("a document or a registration").to_string();
        let headers = [("content-type", "application/json"), ("origin", "http://localhost:6274")];
        let answer = app.send(Method::POST, "/oauth/register", &headers, &metadata).await.expect(201);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.json()["token_endpoint_auth_method"], "none", "{}", self.name);
        answer.json()["client_id"].as_str().expect("an id").to_owned()
    }

    fn resource(&self) -> Option<String> {
        match self.resource.as_deref() {
            None => Some(format!("{ORIGIN}{DEMO}")),
            Some("with a query") => Some(format!("{ORIGIN}{DEMO}?utm_source=chatgpt.com")),
            Some("left out") => None,
            Some(other) => panic!("{other} is nothing to make of a resource"),
        }
    }

    /// Consent by mel; where the browser is sent.
    async fn consent(&self, app: &TestApp, id: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let resource = self.resource();
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", id),
            ("redirect_uri", &self.redirect),
            ("scope", &self.scope),
            ("state", "short"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        pairs.extend(resource.as_deref().map(|resource| ("resource", resource)));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut mel = app.signed_in("mel").await;
        let page = mel.follow(&format!("/oauth/authorize?{query}")).await.expect(200);
        let host = url::Url::parse(id).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
        assert!(host.is_none_or(|host| page.body.contains(&format!("<code>{host}</code>"))), "{}", self.name);
        let fields = ["csrf", "txn", "account"].map(|name| (name, page.field(name)));
        let mut form: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        let picked = format!("{ORIGIN}{DEMO}");
        form.push(("decision", "allow"));
        if resource.is_none() {
            form.push(("resource", &picked));
        }
        mel.post("/oauth/consent", &form).await.expect(303).location().to_owned()
    }

    async fn token(&self, app: &TestApp, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", "http://localhost:6274")];
        app.send(Method::POST, "/oauth/token", &headers, &body).await
    }

    async fn replay(&self, app: &TestApp) {
        self.discover(app).await;
        let id = self.id(app).await;
        let location = self.consent(app, &id).await;
        assert!(location.starts_with(&self.redirect), "{}: {location}", self.name);
        let (_, query) = location.split_once('?').expect("a query");
        let get = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).expect(name)
        };
        assert_eq!((get("state"), get("iss")), ("short".to_owned(), ORIGIN.to_owned()), "{}", self.name);
        let (code, resource) = (get("code"), self.resource());
        let mut redemption = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &*id),
            ("code", &code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", VERIFIER),
        ];
        redemption.extend(resource.as_deref().map(|resource| ("resource", resource)));
        let tokens = Tokens::of(&self.token(app, &redemption).await.expect(200));
        app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
        let refresh = [("grant_type", "refresh_token"), ("client_id", &*id), ("refresh_token", &tokens.refresh)];
        let tokens = Tokens::of(&self.token(app, &refresh).await.expect(200));
        app.call(DEMO, Some(&tokens.access), "tools/list", json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn known_clients_get_a_token_and_call() {
    let profiles: Profiles = toml::from_str(include_str!("known_clients.toml")).expect("profiles");
    let host = DocumentHost::start(&["claude.ai", "vscode.dev", "zed.dev"]).await;
    for profile in &profiles.client {
        if let Some(document) = &profile.document {
            host.put(document["client_id"].as_str().expect("an id"), Reply::json(document));
        }
    }
    let app = host.app("").await;
    assert_eq!(profiles.client.len(), 9);
    for profile in &profiles.client {
        profile.replay(&app).await;
    }
}
