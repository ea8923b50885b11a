use std::time::Duration;

use storage::StorageError;
use tokio::time::{Instant, sleep};

/// How long after a failed attempt the next one begins.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is said that something is waited for.
const REMIND: Duration = Duration::from_secs(3);

/// Patience with stores that are away: machines that start together do not start at once.
#[derive(Debug)]
pub(crate) struct Waiting {
    until: Instant,
    said: Option<Instant>,
    /// Whether somebody else is to migrate, who may not have done so yet.
    unmigrated: bool,
}

impl Waiting {
    /// From now on, for so long. `unmigrated`: also for a schema that somebody else has to migrate.
    pub(crate) fn new(patience: Duration, unmigrated: bool) -> Self {
        Self { until: Instant::now() + patience, said: None, unmigrated }
    }

    /// After an attempt that failed: waits a moment, or gives the failure back when it will not pass or has
    /// lasted too long.
    pub(crate) async fn after(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        let now = Instant::now();
        if !self.may_pass(&error) {
            return Err(error);
        }
        if now + PAUSE > self.until {
            return Err(error.context("gave up waiting"));
        }
        if self.said.is_none_or(|said| now.duration_since(said) >= REMIND) {
            let seconds_left = self.until.duration_since(now).as_secs();
            tracing::warn!(reason = format!("{error:#}"), seconds_left, "waiting for a store");
            self.said = Some(now);
        }
        sleep(PAUSE).await;
        Ok(())
    }

    fn may_pass(&self, error: &anyhow::Error) -> bool {
        error.chain().filter_map(|cause| cause.downcast_ref::<StorageError>()).any(|error| match error {
            StorageError::Missing(_) => self.unmigrated,
            error => error.may_pass(),
        })
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn away() -> anyhow::Error {
        Err::<(), _>(StorageError::unavailable("refused"))
            .context("Postgres, database portico at db:5432, as portico")
            .unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_away_is_waited_for() {
        let started = Instant::now();
        let mut waiting = Waiting::new(Duration::from_secs(10), false);
        let failure = loop {
            if let Err(failure) = waiting.after(away()).await {
                break failure;
            }
        };
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        let text = format!("{failure:#}");
        let place = "Postgres, database portico at db:5432, as portico";
        assert_eq!(text, format!("gave up waiting: {place}: the store is not available: refused"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_not() {
        let started = Instant::now();
        for (error, unmigrated) in [
            (StorageError::WrongMasterKey { wanted: None }, true),
            (StorageError::refused("database \"nothing\" does not exist"), true),
            (StorageError::Newer("2".to_owned()), true),
            (StorageError::Missing("a schema"), false),
        ] {
            let mut waiting = Waiting::new(Duration::from_mins(1), unmigrated);
            assert!(waiting.after(error.into()).await.is_err());
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        let mut waiting = Waiting::new(Duration::from_mins(1), true);
        waiting.after(StorageError::Missing("a schema").into()).await.unwrap();
    }
}
