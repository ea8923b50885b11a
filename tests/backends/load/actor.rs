//! One person with a browser, who lets one client after the other in.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Method;
use serde_json::json;
use tests::{Answer, Browser, Client, ORIGIN, Site, Tokens};
use tokio::{sync::RwLock, time::sleep};

use super::{Balanced, DEMO, Dice, Family, Ledger, Trouble, want};

/// How often what may have been done already is tried again. Portico lets a refresh token be replaced five times,
/// because answers get lost.
const TRIES: u32 = 4;

type Step<T> = Result<T, Trouble>;

#[derive(Debug)]
pub(super) struct Actor {
    number: u64,
    person: String,
    ledger: Arc<Ledger>,
    dice: Dice,
    clients: u32,
}

impl Actor {
    pub(super) fn new(number: u64, person: &str, ledger: Arc<Ledger>, dice: Dice) -> Self {
        Self { number, person: person.to_owned(), ledger, dice, clients: 0 }
    }

    pub(super) async fn work(mut self, site: &Balanced, gate: &RwLock<()>, stop: &AtomicBool) {
        let mut browser: Option<Browser<'_>> = None;
        while !stop.load(Ordering::Relaxed) {
            let _step = gate.read().await;
            if browser.is_none() {
                browser = self.sign_in(site).await;
            }
            let Some(open) = browser.as_mut() else {
                pause().await;
                continue;
            };
            match self.session(site, open).await {
                Ok(true) if self.dice.below(4) > 0 => {}
                Ok(true) => browser = None,
                Ok(false) => {
                    self.ledger.wrong(format!("{}: an acknowledged session is gone", self.person));
                    browser = None;
                }
                Err(_) => pause().await,
            }
        }
    }

    async fn sign_in<'a>(&self, site: &'a Balanced) -> Option<Browser<'a>> {
        let mut browser = Browser::new(site);
        match browser.try_sign_in(&self.person).await.map_err(|error| Trouble::Away(error.to_string())) {
            Ok(answer) if answer.status == 303 => {
                self.ledger.count("sign-ins");
                Some(browser)
            }
            _ => {
                self.ledger.count("steps that came to nothing");
                None
            }
        }
    }

    /// One client from its registration to the end. Whether the session was still there; what came to nothing is
    /// counted.
    async fn session(&mut self, site: &Balanced, browser: &mut Browser<'_>) -> Step<bool> {
        // Sessions are durable: after an acknowledged sign-in this is the person's page.
        let page = get(browser, "/grants").await?;
        if page.status.is_redirection() {
            return Ok(false);
        }
        let lived = self.live(site, browser).await;
        if lived.is_err() {
            self.ledger.count("steps that came to nothing");
        }
        lived.map(|()| true)
    }

    async fn live(&mut self, site: &Balanced, browser: &mut Browser<'_>) -> Step<()> {
        self.clients += 1;
        // Nobody else's has this name: it is looked for among the grants.
        let name = format!("Client {} of actor {}", self.clients, self.number);
        let client = match Client::try_register(site, &name).await {
            Ok(Ok(client)) => client,
            Ok(Err(answer)) => return Err(Trouble::Refused(answer)),
            Err(error) => return Err(Trouble::Away(error.to_string())),
        };
        let code = self.code(&client, browser).await?;
        let Some(mut family) = self.redeem(site, &client, code).await? else { return Ok(()) };
        for _ in 0..=self.dice.below(3) {
            self.call(site, &family).await;
            if !self.refresh(&client, &mut family).await {
                return Ok(());
            }
        }
        if self.dice.below(2) == 0 {
            return self.revoke(browser, &name, family).await;
        }
        self.ledger.keep(family);
        Ok(())
    }

    /// Pending questions may be lost with a cache; then a person is asked again.
    async fn code(&self, client: &Client<'_>, browser: &mut Browser<'_>) -> Step<String> {
        let mut path = client.authorize_path(DEMO);
        for _ in 0..4 {
            let answer = get(browser, &path).await?;
            if !answer.status.is_redirection() {
                let page = want(200, Ok(answer))?;
                let answer = want(303, browser.try_decide(&page, "allow").await)?;
                let location = answer.location().to_owned();
                self.ledger.count("codes");
                return tests::code_in(&location).ok_or(Trouble::Refused(Box::new(answer)));
            }
            path = answer.location().trim_start_matches(ORIGIN).to_owned();
        }
        Err(Trouble::Away("sent around in circles".to_owned()))
    }

    /// Sometimes on two replicas at once: then at most one may have it.
    async fn redeem(&self, site: &Balanced, client: &Client<'_>, code: String) -> Step<Option<Family>> {
        let family = |answer: &Answer| {
            let tokens = Tokens::of(answer);
            Family { client: client.id.clone(), code: code.clone(), access: tokens.access, refresh: tokens.refresh }
        };
        let (first, second) = if self.dice.below(3) == 0 {
            let other = Client::known(site, &client.id);
            let (first, second) = tokio::join!(client.try_redeem(&code, DEMO), other.try_redeem(&code, DEMO));
            (want(200, first), Some(want(200, second)))
        } else {
            (want(200, client.try_redeem(&code, DEMO).await), None)
        };
        match (first, second) {
            (Ok(_), Some(Ok(_))) => {
                self.ledger.wrong("a code was accepted twice at once".to_owned());
                Ok(None)
            }
            // A replay this soon is taken for a client that races with itself, and ends nothing.
            (Ok(answer), Some(Err(_))) | (Err(_), Some(Ok(answer))) => {
                self.ledger.count("codes redeemed by one of two");
                Ok(Some(family(&answer)))
            }
            (Ok(answer), None) => {
                self.ledger.count("codes redeemed");
                Ok(Some(family(&answer)))
            }
            (Err(Trouble::Refused(answer)), None) => {
                self.ledger.wrong(format!("an acknowledged code is not taken: {}", answer.body));
                Ok(None)
            }
            (Err(trouble), _) => Err(trouble),
        }
    }

    async fn call(&self, site: &Balanced, family: &Family) {
        let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 } });
        match want(200, (site as &dyn Site).try_call(DEMO, Some(&family.access), "tools/call", params).await) {
            Ok(answer) if answer.body.contains("\"5\"") => self.ledger.count("calls"),
            Ok(answer) => self.ledger.wrong(format!("a call: {}", answer.body)),
            Err(Trouble::Refused(answer)) => self.ledger.wrong(format!("a call: {} {}", answer.status, answer.body)),
            Err(Trouble::Away(_)) => self.ledger.count("calls that came to nothing"),
        }
    }

    /// Until there is an answer, as clients do. `false`: there was none, and what the family has is not known.
    async fn refresh(&self, client: &Client<'_>, family: &mut Family) -> bool {
        for _ in 0..TRIES {
            match want(200, client.try_refresh(&family.refresh).await) {
                Ok(answer) => {
                    let tokens = Tokens::of(&answer);
                    (family.access, family.refresh) = (tokens.access, tokens.refresh);
                    self.ledger.count("refreshes");
                    return true;
                }
                Err(Trouble::Refused(answer)) => {
                    self.ledger.wrong(format!("an acknowledged refresh token: {}", answer.body));
                    return false;
                }
                Err(Trouble::Away(_)) => {
                    self.ledger.count("refreshes that came to nothing");
                    pause().await;
                }
            }
        }
        false
    }

    async fn revoke(&self, browser: &mut Browser<'_>, name: &str, family: Family) -> Step<()> {
        let page = want(200, get(browser, "/grants").await.map_err(|trouble| anyhow::anyhow!("{trouble}")))?;
        let Some(path) = revoke_link(&page.body, name) else {
            self.ledger.wrong(format!("{name} has tokens and is not among the grants"));
            return Ok(());
        };
        let page = want(200, get(browser, &path).await.map_err(|trouble| anyhow::anyhow!("{trouble}")))?;
        want(303, browser.try_post(&path, &[("csrf", &page.field("csrf"))]).await)?;
        self.ledger.count("revocations");
        self.ledger.revoked(family);
        Ok(())
    }
}

async fn get(browser: &mut Browser<'_>, path: &str) -> Step<Answer> {
    match browser.try_send(Method::GET, path, &[], "").await {
        Ok(answer) if answer.status.is_server_error() => Err(Trouble::Away(answer.body)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(Trouble::Away(format!("{error:#}"))),
    }
}

/// In the row of that client.
fn revoke_link(page: &str, client: &str) -> Option<String> {
    let row = &page[page.find(&format!("<bdi>{client}</bdi>"))?..];
    let link = &row[row.find("href=\"/grants/")? + 6..];
    Some(link[..link.find('"')?].to_owned())
}

async fn pause() {
    sleep(std::time::Duration::from_millis(100)).await;
}
