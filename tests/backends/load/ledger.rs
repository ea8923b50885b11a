use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use tests::{Client, Live, Site};
use tokio::time::{Instant, sleep};

use super::{Balanced, Trouble, want};

/// The server that everybody uses.
pub(crate) const DEMO: &str = "/t/acme/demo/mcp";

/// For how long a revocation may be unknown to a replica that is ready.
const HEARD: Duration = Duration::from_secs(2);

/// How many of each kind are looked at in between.
const NEWEST: usize = 12;

/// One code and all that came of it, as far as it was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Whose client.
    pub(crate) client: String,
    /// The code it began with.
    pub(crate) code: String,
    /// The newest access token.
    pub(crate) access: String,
    /// The newest refresh token.
    pub(crate) refresh: String,
}

/// What was acknowledged, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    alive: Vec<Family>,
    revoked: Vec<Family>,
    counts: BTreeMap<&'static str, u32>,
    wrong: Vec<String>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something for the report.
    pub(crate) fn count(&self, what: &'static str) {
        *self.lock().counts.entry(what).or_default() += 1;
    }

    /// Notes what must not be.
    pub(crate) fn wrong(&self, what: String) {
        self.lock().wrong.push(what);
    }

    /// A family that stays as it is now.
    pub(crate) fn keep(&self, family: Family) {
        self.lock().alive.push(family);
    }

    /// A family whose revocation was acknowledged.
    pub(crate) fn revoked(&self, family: Family) {
        self.lock().revoked.push(family);
    }

    /// How often each thing happened.
    pub(crate) fn report(&self) -> String {
        let state = self.lock();
        let mut counts = state.counts.clone();
        counts.insert("grants kept", u32::try_from(state.alive.len()).unwrap_or(u32::MAX));
        counts.insert("grants ended", u32::try_from(state.revoked.len()).unwrap_or(u32::MAX));
        counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }

    /// How often something happened.
    pub(crate) fn counted(&self, what: &str) -> u32 {
        self.lock().counts.get(what).copied().unwrap_or(0)
    }

    /// Fails with everything that was wrong.
    #[track_caller]
    pub(crate) fn expect_nothing_wrong(&self) {
        let state = self.lock();
        assert!(state.wrong.is_empty(), "{} wrong:\n{}", state.wrong.len(), state.wrong.join("\n"));
    }

    /// Holds every replica, which must be ready, against what was acknowledged. Nothing else may be going on.
    pub(crate) async fn verify(&self, site: &Balanced, all: bool) {
        let (alive, revoked) = {
            let state = self.lock();
            let newest = |families: &[Family]| {
                let skip = if all { 0 } else { families.len().saturating_sub(NEWEST) };
                families[skip..].to_vec()
            };
            (newest(&state.alive), newest(&state.revoked))
        };
        for replica in site.each() {
            for family in &revoked {
                self.refuses(replica, family).await;
            }
            for family in &alive {
                self.takes(replica, family).await;
            }
        }
        for family in &revoked {
            let client = Client::known(site, &family.client);
            for (what, answer) in [
                ("refresh token", client.try_refresh(&family.refresh).await),
                ("code", client.try_redeem(&family.code, DEMO).await),
            ] {
                match want(400, answer) {
                    Ok(answer) if answer.json()["error"] == "invalid_grant" => self.count("dead tokens refused"),
                    Ok(answer) => self.wrong(format!("the {what} of a revoked grant: {}", answer.body)),
                    Err(trouble) => self.wrong(format!("the {what} of a revoked grant: {trouble}")),
                }
            }
        }
        if all {
            for family in &alive {
                self.lasts(site, family).await;
            }
        }
    }

    /// A revoked token is refused, at the latest after a moment.
    async fn refuses(&self, replica: &Live, family: &Family) {
        let start = Instant::now();
        loop {
            let answer = (replica as &dyn Site).try_call(DEMO, Some(&family.access), "tools/list", json!({})).await;
            match want(401, answer) {
                Ok(_) => return self.count("dead tokens refused"),
                Err(Trouble::Refused(answer)) if answer.status == 200 && start.elapsed() < HEARD => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(trouble) => return self.wrong(format!("a revoked token: {trouble}")),
            }
        }
    }

    async fn takes(&self, replica: &Live, family: &Family) {
        let answer = (replica as &dyn Site).try_call(DEMO, Some(&family.access), "tools/list", json!({})).await;
        match want(200, answer) {
            Ok(_) => self.count("living tokens taken"),
            Err(trouble) => self.wrong(format!("an acknowledged access token: {trouble}")),
        }
    }

    /// The newest refresh token works; the code does not, and whoever tries it ends the grant.
    async fn lasts(&self, site: &Balanced, family: &Family) {
        let client = Client::known(site, &family.client);
        match want(200, client.try_refresh(&family.refresh).await) {
            Ok(_) => self.count("living tokens taken"),
            Err(trouble) => self.wrong(format!("an acknowledged refresh token: {trouble}")),
        }
        match want(400, client.try_redeem(&family.code, DEMO).await) {
            Ok(_) => self.count("dead tokens refused"),
            Err(trouble) => self.wrong(format!("a code the second time: {trouble}")),
        }
    }
}
