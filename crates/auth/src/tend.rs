use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    Auth,
    keys::{KeyRotation, KeyRules},
};
use storage::repo::Actor;

/// How often uses of tokens are written.
const WRITING: Duration = Duration::from_secs(1);
/// How often the schedule of the signing keys is looked at, in writings.
const LOOKING: u32 = 60;

impl Auth {
    /// Does what has to be done beside requests, until `stop`: writes which tokens were seen, and replaces signing
    /// keys when they are due.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut failing, mut turn) = (false, 0_u32);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(WRITING) => {}
            }
            let written = self.write_uses().await;
            // Said when it begins: an outage is not a line for each second of it.
            if let (Err(error), false) = (&written, failing) {
                tracing::warn!(error = error as &dyn std::error::Error, "uses of tokens cannot be written for now");
            }
            failing = written.is_err();
            if turn.is_multiple_of(LOOKING)
                && let Err(error) = self.tend_keys().await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "the signing keys cannot be looked after");
            }
            turn = turn.wrapping_add(1);
        }
        if let Err(error) = self.write_uses().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last uses of tokens are not written");
        }
    }

    /// Writes which access tokens were seen in front of servers since the last time.
    pub async fn write_uses(&self) -> storage::Result<()> {
        self.uses.flush(&*self.repos.grants, self.clock.now()).await
    }

    /// Makes the step that is due in the life of the signing keys, if one is.
    pub async fn tend_keys(&self) -> Result<(), crate::AuthError> {
        let rules = self.key_rules();
        if !rules.is_due(&self.snapshot.keys(), self.clock.now()) {
            return Ok(());
        }
        self.rotation(&Actor::System).keep_schedule().await?;
        self.sync().await;
        Ok(())
    }

    pub(crate) fn rotation<'a>(&'a self, actor: &'a Actor) -> KeyRotation<'a> {
        KeyRotation {
            keys: &*self.repos.signing,
            rules: self.key_rules(),
            clock: &*self.clock,
            entropy: &*self.entropy,
            actor,
        }
    }

    fn key_rules(&self) -> KeyRules {
        self.config.keys
    }
}
