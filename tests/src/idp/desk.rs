//! What every provider keeps: accounts, the client, codes, tokens and remembered consent.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use model::{Clock, Entropy, Timestamp, random_token};
use sha2::{Digest as _, Sha256};

/// A person as a provider knows them.
#[derive(Clone, Debug)]
pub struct Account {
    /// What the provider calls them and never gives to anyone else. Digits only, as both providers have it.
    pub subject: String,
    /// GitHub's login name.
    pub login: String,
    /// As the person writes it.
    pub name: String,
    /// Their primary address.
    pub email: String,
    /// Whether the provider checked the address.
    pub email_verified: bool,
    /// Google's `hd`: the organisation that owns the account.
    pub hosted_domain: Option<String>,
}

impl Account {
    /// An account with a verified address at `example.com`.
    pub fn new(subject: u64, login: &str) -> Self {
        Self {
            subject: subject.to_string(),
            login: login.to_owned(),
            name: format!("{}{}", login[..1].to_uppercase(), &login[1..]),
            email: format!("{login}@example.com"),
            email_verified: true,
            hosted_domain: None,
        }
    }
}

/// An application as its owner registered it with a provider.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The public id.
    pub client_id: String,
    /// The secret of the token endpoint.
    pub client_secret: String,
    /// The callback.
    pub redirect_uri: String,
}

/// What an authorization code stands for.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) account: Account,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scopes: Vec<String>,
    /// Google: whether this redemption yields a refresh token.
    pub(super) refresh: bool,
    pub(super) issued: Timestamp,
}

/// The state of a provider.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) registration: Registration,
    pub(super) accounts: Vec<Account>,
    pub(super) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    codes: HashMap<String, Code>,
    tokens: HashMap<String, (Account, Vec<String>)>,
    consents: HashSet<(String, String)>,
}

/// Both providers let a code live ten minutes.
const CODE_LIFETIME: Duration = Duration::from_mins(10);

impl Desk {
    pub(super) fn new(
        registration: Registration,
        accounts: Vec<Account>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { registration, accounts, clock, entropy, state: Mutex::default() }
    }

    pub(super) fn account(&self, subject: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.subject == subject)
    }

    /// Whether the person agreed to all of these scopes before.
    pub(super) fn consented(&self, subject: &str, scopes: &[String]) -> bool {
        let consents = &self.state().consents;
        scopes.iter().all(|scope| consents.contains(&(subject.to_owned(), scope.clone())))
    }

    /// Remembers consent and gives out a code.
    pub(super) fn grant(&self, prefix: &str, code: Code) -> String {
        let value = random_token(&*self.entropy, prefix);
        let mut state = self.state();
        let consents = code.scopes.iter().map(|scope| (code.account.subject.clone(), scope.clone()));
        state.consents.extend(consents);
        state.codes.insert(value.clone(), code);
        value
    }

    /// What a code stands for, once, and only with the verifier of its challenge (RFC 7636 §4.6).
    pub(super) fn redeem(&self, code: &str, verifier: Option<&str>) -> Option<Code> {
        let code = self.state().codes.remove(code)?;
        let fresh = self.clock.now().since(code.issued) < CODE_LIFETIME;
        let proved = match (&code.challenge, verifier) {
            (None, _) => true,
            (Some(challenge), Some(verifier)) => *challenge == BASE64URL.encode(Sha256::digest(verifier)),
            (Some(_), None) => false,
        };
        (fresh && proved).then_some(code)
    }

    /// Gives out an access token.
    pub(super) fn token(&self, prefix: &str, code: &Code) -> String {
        let value = random_token(&*self.entropy, prefix);
        self.state().tokens.insert(value.clone(), (code.account.clone(), code.scopes.clone()));
        value
    }

    /// Who an access token is for, and what it may.
    pub(super) fn bearer(&self, token: &str) -> Option<(Account, Vec<String>)> {
        self.state().tokens.get(token).cloned()
    }

    /// Whether these are the registered client's credentials.
    pub(super) fn knows(&self, (id, secret): (&str, &str)) -> bool {
        id == self.registration.client_id && secret == self.registration.client_secret
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

/// Client credentials: from the form, else from the `Authorization` header (RFC 6749 §2.3.1).
pub(super) fn credentials(headers: &http::HeaderMap, form: (Option<&str>, Option<&str>)) -> Option<(String, String)> {
    if let (Some(id), Some(secret)) = form {
        return Some((id.to_owned(), secret.to_owned()));
    }
    let header = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = base64::engine::general_purpose::STANDARD.decode(header).ok()?;
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    let plain =
        |text: &str| url::form_urlencoded::parse(format!("v={text}").as_bytes()).next().map(|(_, v)| v.into_owned());
    Some((plain(id)?, plain(secret)?))
}
