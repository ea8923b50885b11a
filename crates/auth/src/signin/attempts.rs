use std::{sync::Arc, time::Duration};

use http_kit::{ClientAddress, Limit, Throttle};
use model::Clock;

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
    accounts: Throttle,
    places: Throttle,
    departures: Throttle,
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
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        let throttle = |limit| Throttle::new(limit, Arc::clone(clock));
        Self { accounts: throttle(ACCOUNT), places: throttle(PLACE), departures: throttle(DEPARTURES) }
    }

    /// Lets somebody go to a provider, or says how long to wait.
    pub(crate) fn depart(&self, from: ClientAddress) -> Result<(), Duration> {
        self.departures.take(&from.neighbourhood().to_string())
    }

    /// Lets an attempt through, or says how long to wait.
    pub(crate) fn begin(&self, email: &str, from: ClientAddress) -> Result<Attempt<'_>, Duration> {
        let place = from.neighbourhood().to_string();
        let account = hash_hex(&format!("{place} {}", email.trim().to_lowercase()));
        self.places.take(&place)?;
        self.accounts.take(&account)?;
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

    use super::*;

    fn from(last: u8) -> ClientAddress {
        ClientAddress(Ipv4Addr::new(192, 0, last, 1).into())
    }

    #[test]
    fn an_account_is_counted_by_place() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
        let now: Arc<dyn Clock> = clock.clone();
        let attempts = Attempts::new(&now);
        for _ in 0..5 {
            attempts.begin("alice@example.com", from(1)).unwrap();
        }
        assert_eq!(attempts.begin(" Alice@Example.com", from(1)).unwrap_err(), Duration::from_mins(1));
        attempts.begin("alice@example.com", from(2)).unwrap();
        attempts.begin("bob@example.com", from(1)).unwrap();
        clock.advance(Duration::from_mins(1));
        attempts.begin("alice@example.com", from(1)).unwrap().forgive();
        attempts.begin("alice@example.com", from(1)).unwrap();
        attempts.begin("alice@example.com", from(1)).unwrap_err();
    }

    #[test]
    fn a_place_is_counted_over_accounts() {
        let now: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
        let attempts = Attempts::new(&now);
        for n in 0..30 {
            attempts.begin(&format!("{n}@example.com"), from(1)).unwrap();
        }
        attempts.begin("other@example.com", from(1)).unwrap_err();
        attempts.begin("other@example.com", from(2)).unwrap();
    }
}
