use std::{sync::Arc, time::Duration};

use http_kit::{Budget, ClientAddress, Limit, Spent, WhenAway};
use model::Clock;
use storage::KeyValue;

use crate::session::hash_hex;

/// For one account from one place: five at once, then one a minute.
const ACCOUNT: Limit = Limit { burst: 5, every: Duration::from_mins(1) };
/// For one place, whatever the account: thirty at once, then one every twenty seconds.
const PLACE: Limit = Limit { burst: 30, every: Duration::from_secs(20) };

/// Round trips to providers from one place: each is remembered for a while, so they are not free.
const DEPARTURES: Limit = Limit { burst: 60, every: Duration::from_secs(5) };

/// Counts sign-ins with a password, by account and place and by place, so that guessing is slow. An
/// account alone is not counted: anybody could lock its owner out.
#[derive(Debug)]
pub(crate) struct Attempts {
    accounts: Budget,
    places: Budget,
    departures: Budget,
}

/// An attempt that was let through. It costs, unless it is forgiven.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    account: String,
    place: String,
}

impl Attempts {
    /// Nobody has tried anything yet.
    pub(crate) fn new(kv: &Arc<dyn KeyValue>, clock: &Arc<dyn Clock>) -> Self {
        let budget = |name, limit| Budget::new(name, limit, WhenAway::CountAlone, kv, clock);
        Self {
            accounts: budget("passwords of an account", ACCOUNT),
            places: budget("passwords of a place", PLACE),
            departures: budget("departures", DEPARTURES),
        }
    }

    /// Lets somebody go to a provider, or says how long to wait.
    pub(crate) async fn depart(&self, from: ClientAddress) -> Result<(), Spent> {
        self.departures.take(&from.neighbourhood().to_string()).await
    }

    /// Lets an attempt through, or says how long to wait.
    pub(crate) async fn begin(&self, email: &str, from: ClientAddress) -> Result<Attempt<'_>, Spent> {
        let place = from.neighbourhood().to_string();
        let account = hash_hex(&format!("{place} {}", email.trim().to_lowercase()));
        self.places.take(&place).await?;
        self.accounts.take(&account).await?;
        Ok(Attempt { attempts: self, account, place })
    }
}

impl Attempt<'_> {
    /// Takes the attempt back: it was right, or it was never tried.
    pub(crate) fn forgive(self) {
        self.attempts.accounts.give_back(&self.account);
        self.attempts.places.give_back(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::{ManualClock, Timestamp};
    use storage::Memory;

    use super::*;

    fn from(last: u8) -> ClientAddress {
        ClientAddress(Ipv4Addr::new(192, 0, last, 1).into())
    }

    fn attempts() -> (Arc<ManualClock>, Attempts) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
        let now: Arc<dyn Clock> = clock.clone();
        let kv: Arc<dyn KeyValue> = Arc::new(Memory::new(Arc::clone(&now)));
        (clock, Attempts::new(&kv, &now))
    }

    #[tokio::test]
    async fn an_account_is_counted_by_place() {
        let (clock, attempts) = attempts();
        for _ in 0..5 {
            attempts.begin("alice@example.com", from(1)).await.unwrap();
        }
        match attempts.begin(" Alice@Example.com", from(1)).await.unwrap_err() {
            Spent::Wait(wait) => assert_eq!(wait, Duration::from_mins(1)),
            away @ Spent::Away(_) => panic!("{away:?}"),
        }
        attempts.begin("alice@example.com", from(2)).await.unwrap();
        attempts.begin("bob@example.com", from(1)).await.unwrap();
        clock.advance(Duration::from_mins(1));
        attempts.begin("alice@example.com", from(1)).await.unwrap().forgive();
        attempts.begin("alice@example.com", from(1)).await.unwrap();
        attempts.begin("alice@example.com", from(1)).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_place_is_counted_over_accounts() {
        let (_, attempts) = attempts();
        for n in 0..30 {
            attempts.begin(&format!("{n}@example.com"), from(1)).await.unwrap();
        }
        attempts.begin("other@example.com", from(1)).await.unwrap_err();
        attempts.begin("other@example.com", from(2)).await.unwrap();
    }
}
