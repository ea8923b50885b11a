//! Which access tokens were seen in front of servers, so that a refresh token whose answer got lost can be told
//! from a stolen one. Noted in memory, written in batches: the request path waits for nothing.

use std::sync::{Mutex, PoisonError};

use model::{Timestamp, TokenId};
use storage::repo::Grants;

/// How many wait to be written, at most. Whoever is not noted now is at their next request.
const WAITING: usize = 100_000;
/// How many are written at a time.
const BATCH: usize = 500;

/// Tokens that were seen and not written yet.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<Vec<TokenId>>);

impl Uses {
    /// Notes that a token was seen. `false` if too many wait already.
    pub(crate) fn note(&self, token: TokenId) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= WAITING {
            return false;
        }
        seen.push(token);
        true
    }

    /// Writes what was noted. What cannot be written waits for the next time.
    pub(crate) async fn flush(&self, grants: &dyn Grants, now: Timestamp) -> storage::Result<()> {
        let mut seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while !seen.is_empty() {
            let rest = seen.split_off(seen.len().saturating_sub(BATCH));
            if let Err(error) = grants.note_uses(&rest, now).await {
                let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.extend(rest.into_iter().chain(seen));
                return Err(error);
            }
        }
        Ok(())
    }
}
