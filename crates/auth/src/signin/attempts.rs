use std::{sync::Arc, time::Duration};

use http_kit::{ClientAddress, Limit, Throttle};
use model::Clock;

use crate::session::hash_hex;

/// For one account from one place: five at once, then one a minute.
const ACCOUNT: Limit = Limit { burst: 5, every: Duration::from_mins(1) };
/// For one place, whatever the account: thirty at once, then one every twenty seconds.
const PLACE: Limit = Limit { burst: 30, every: Duration::from_secs(20) };

/// Counts sign-ins with a password, by account and place and by place, so that guessing is slow. An
/// account alone is not counted: anybody could lock its owner out.
#[derive(Debug)]
pub struct Attempts {
    accounts: Throttle,
    places: Throttle,
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
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { accounts: Throttle::new(ACCOUNT, Arc::clone(&clock)), places: Throttle::new(PLACE, clock) }
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
        ClientAddress(Ipv4Addr::new(192, 0, 2, last).into())
    }

    #[test]
    fn an_account_is_counted_by_place() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
        let attempts = Attempts::new(clock.clone());
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
        let attempts = Attempts::new(Arc::new(ManualClock::at(Timestamp::from_seconds(1))));
        for n in 0..30 {
            attempts.begin(&format!("{n}@example.com"), from(1)).unwrap();
        }
        attempts.begin("other@example.com", from(1)).unwrap_err();
        attempts.begin("other@example.com", from(2)).unwrap();
    }
}
