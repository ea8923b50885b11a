use std::collections::BTreeMap;

use anyhow::Result;
use http::{Method, header};

use crate::{Answer, ORIGIN, Site};

/// A browser: keeps cookies, sends `Origin` with forms, takes pages.
#[derive(Clone)]
pub struct Browser<'a> {
    site: &'a dyn Site,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    /// Without cookies.
    pub fn new(site: &'a dyn Site) -> Self {
        Self { site, cookies: BTreeMap::new() }
    }

    /// With the cookies of another one.
    pub fn with_cookies(site: &'a dyn Site, cookies: BTreeMap<String, String>) -> Self {
        Self { site, cookies }
    }

    /// Its cookies, by name.
    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    /// The same browser, which reaches the installation in another way from now on.
    pub fn at(self, site: &dyn Site) -> Browser<'_> {
        Browser { site, cookies: self.cookies }
    }

    /// Opens a path.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    /// Opens a path and goes where it is sent, as long as that is the installation.
    pub async fn follow(&mut self, path: &str) -> Answer {
        let mut answer = self.get(path).await;
        for _ in 0..8 {
            if !answer.status.is_redirection() {
                return answer;
            }
            let location = answer.location().to_owned();
            assert!(location.starts_with('/') || location.starts_with(ORIGIN), "{location}");
            answer = self.get(&location).await;
        }
        panic!("too many redirects: {answer:?}")
    }

    /// Sends a form.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.try_post(path, fields).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// The same, of an installation that may be away.
    pub async fn try_post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("origin", ORIGIN), ("content-type", "application/x-www-form-urlencoded")];
        self.try_send(Method::POST, path, &headers, &body).await
    }

    /// Sends a request with this browser's cookies.
    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.try_send(method, path, headers, body).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// The same, of an installation that may be away.
    pub async fn try_send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("accept", "text/html,application/xhtml+xml")];
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        all.extend(headers);
        let path = path.strip_prefix(ORIGIN).unwrap_or(path);
        let answer = self.site.try_send(method, path, &all, body).await?;
        for set in answer.headers.get_all(header::SET_COOKIE) {
            self.keep(set.to_str().expect("cookies are ASCII"));
        }
        Ok(answer)
    }

    fn keep(&mut self, set: &str) {
        let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
        let (name, value) = pair.split_once('=').expect("a cookie has a value");
        let attributes = attributes.to_lowercase();
        assert!(attributes.contains("httponly") && attributes.contains("samesite=lax"), "{set}");
        assert!(name.starts_with("__Host-") && attributes.contains("secure"), "{set}");
        if attributes.contains("max-age=0") || value.is_empty() {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The values of all cookies: for tests that look for them where they must not be.
    pub fn cookie_values(&self) -> impl Iterator<Item = &str> {
        self.cookies.values().map(String::as_str)
    }

    /// Signs in with the local account of a person of the world.
    pub async fn sign_in(&mut self, name: &str) -> Answer {
        let page = self.get("/login").await.expect(200);
        self.submit_sign_in(&page, name).await.expect(303)
    }

    /// The same, of an installation that may be away. The answer is the page if that did not open.
    pub async fn try_sign_in(&mut self, name: &str) -> Result<Answer> {
        let page = self.try_send(Method::GET, "/login", &[], "").await?;
        if page.status != 200 {
            return Ok(page);
        }
        self.try_submit_sign_in(&page, name).await
    }

    /// Fills in the sign-in page that is open.
    pub async fn submit_sign_in(&mut self, page: &Answer, name: &str) -> Answer {
        self.try_submit_sign_in(page, name).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    async fn try_submit_sign_in(&mut self, page: &Answer, name: &str) -> Result<Answer> {
        let (email, password) = (format!("{name}@example.com"), format!("password of {name}"));
        let (csrf, back) = (page.field("csrf"), page.field("return"));
        let fields = [("csrf", &*csrf), ("return", &*back), ("email", &*email), ("password", &*password)];
        self.try_post("/login", &fields).await
    }

    /// Fills in the consent page that is open.
    pub async fn decide(&mut self, page: &Answer, decision: &str) -> Answer {
        self.try_decide(page, decision).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The same, of an installation that may be away.
    pub async fn try_decide(&mut self, page: &Answer, decision: &str) -> Result<Answer> {
        let (csrf, txn, account) = (page.field("csrf"), page.field("txn"), page.field("account"));
        let fields = [("csrf", &*csrf), ("txn", &*txn), ("account", &*account), ("decision", decision)];
        self.try_post("/oauth/consent", &fields).await
    }
}
