//! The life of a signing key: announced, in use, kept while its tokens live, gone.
//!
//! Replicas all look at the same schedule; whoever is first makes a step, because a step names the keys that it
//! saw, and the store refuses one that saw others.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{Clock, Entropy, Secret, Timestamp};
use storage::{
    TOMBSTONE_LIFE,
    repo::{Actor, AuditEvent, KeyChange, KeyState, SigningKey, SigningKeys},
};

use super::{KeyDates, KeySet, SigningAlgorithm};
use crate::AuthError;

/// How long a key is published before it signs: twice as long as verifiers may keep the document.
pub const ANNOUNCED: Duration = Duration::from_mins(10);
/// How long a key signs at least before another algorithm replaces it: while replicas are restarted one by one,
/// their configurations differ.
const SETTLED: Duration = Duration::from_hours(1);
/// How often a command tries when others change the keys at the same moment.
const ATTEMPTS: u32 = 5;

/// How signing keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// What new keys are for.
    pub algorithm: SigningAlgorithm,
    /// How long a key signs.
    pub every: Duration,
}

/// Makes and replaces signing keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyRotation<'a> {
    /// Where they are.
    pub keys: &'a dyn SigningKeys,
    /// How they live.
    pub rules: KeyRules,
    /// Now.
    pub clock: &'a dyn Clock,
    /// For ids of events.
    pub entropy: &'a dyn Entropy,
    /// Who asks for it.
    pub actor: &'a Actor,
}

/// What came of asking for a new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotatedKey {
    /// The key of this `kid` signs, and those are gone.
    Replaced {
        /// The new key.
        kid: String,
        /// The keys that are gone, with all tokens that they signed.
        gone: Vec<String>,
    },
    /// The key of this `kid` is published, and signs from then on.
    Announced {
        /// The new key.
        kid: String,
        /// From when it signs.
        from: Timestamp,
    },
}

/// A step that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Publish a new key.
    Announce,
    /// Have a published key sign, in place of these.
    Activate { kid: String, retire: Vec<String> },
    /// Remove what nothing needs any more.
    Remove(Vec<String>),
}

impl KeyRules {
    /// What is due now. Who cannot use the key that signs decides nothing: it may lack a master key that the
    /// other replicas have.
    fn due(&self, keys: &[KeyDates], now: Timestamp) -> Option<Step> {
        let of = |state| keys.iter().filter(move |key| key.state == state);
        let active = of(KeyState::Active).find(|key| key.usable)?;
        let mut pending = of(KeyState::Pending).filter(|key| key.usable);
        if let Some(next) = pending.next() {
            if next.created_at + ANNOUNCED <= now {
                let retire = of(KeyState::Active).map(|key| key.kid.clone()).collect();
                return Some(Step::Activate { kid: next.kid.clone(), retire });
            }
        } else {
            let since = now.since(active.changed_at);
            let other = active.algorithm != self.algorithm.as_str() && since >= SETTLED;
            if other || since >= self.every {
                return Some(Step::Announce);
            }
        }
        let over: Vec<_> = of(KeyState::Retiring)
            .filter(|key| key.ends_at.is_some_and(|end| end <= now))
            .map(|key| key.kid.clone())
            .collect();
        (!over.is_empty()).then_some(Step::Remove(over))
    }

    /// Whether anything is due, by what is in memory.
    pub(crate) fn is_due(&self, keys: &KeySet, now: Timestamp) -> bool {
        self.due(keys.dates(), now).is_some()
    }
}

impl KeyRotation<'_> {
    /// Makes the first key of an installation if it has none. Of several replicas that start together, one
    /// makes it and the others read it.
    pub(crate) async fn ensure_first(&self) -> Result<(), AuthError> {
        if !self.keys.all().await?.is_empty() {
            return Ok(());
        }
        let first = self.fresh(KeyState::Active)?;
        let event = self.event("signing_key.created", &first.kid);
        let change = KeyChange { add: vec![first], ..KeyChange::default() };
        self.keys.change(&[], &change, self.clock.now(), &event).await?;
        Ok(())
    }

    /// Makes the steps that are due. Harmless when another replica makes them.
    pub(crate) async fn keep_schedule(&self) -> Result<(), AuthError> {
        let keys = self.keys.all().await?;
        let (set, now) = (KeySet::new(&keys), self.clock.now());
        let (change, event) = match self.rules.due(set.dates(), now) {
            None => return Ok(()),
            Some(Step::Announce) => {
                let next = self.fresh(KeyState::Pending)?;
                let event = self.event("signing_key.announced", &next.kid);
                (KeyChange { add: vec![next], ..KeyChange::default() }, event)
            }
            Some(Step::Activate { kid, retire }) => {
                let ends_at = Some(now + TOMBSTONE_LIFE);
                let mut turn: Vec<_> = retire.into_iter().map(|kid| (kid, KeyState::Retiring, ends_at)).collect();
                turn.push((kid.clone(), KeyState::Active, None));
                (KeyChange { turn, ..KeyChange::default() }, self.event("signing_key.activated", &kid))
            }
            Some(Step::Remove(kids)) => {
                let event = self.event("signing_key.removed", &kids.join(" "));
                (KeyChange { remove: kids, ..KeyChange::default() }, event)
            }
        };
        if self.keys.change(&seen(&keys), &change, now, &event).await? {
            tracing::info!(action = event.action, kid = event.subject, "the signing keys are others now");
        }
        Ok(())
    }

    /// Replaces the key that signs. Without `compromised` the new one is published for [`ANNOUNCED`] first, unless
    /// there is none that signs; keys that do not open go. With it, every key goes at once, with all tokens.
    pub async fn rotate(&self, compromised: bool) -> Result<RotatedKey, AuthError> {
        super::install_provider();
        for _ in 0..ATTEMPTS {
            let keys = self.keys.all().await?;
            let set = KeySet::new(&keys);
            let usable = |state| set.dates().iter().find(move |key| key.state == state && key.usable);
            let at_once = compromised || usable(KeyState::Active).is_none();
            if let (false, Some(next)) = (at_once, usable(KeyState::Pending)) {
                return Ok(RotatedKey::Announced { kid: next.kid.clone(), from: next.created_at + ANNOUNCED });
            }
            let next = self.fresh(if at_once { KeyState::Active } else { KeyState::Pending })?;
            let gone: Vec<_> =
                set.dates().iter().filter(|key| compromised || !key.usable).map(|key| key.kid.clone()).collect();
            let action = match (compromised, at_once) {
                (true, _) => "signing_key.compromised",
                (false, true) => "signing_key.replaced",
                (false, false) => "signing_key.announced",
            };
            let (kid, from) = (next.kid.clone(), next.created_at + ANNOUNCED);
            let event = self.event(action, &kid).with(serde_json::json!({ "removed": gone }));
            let change = KeyChange { add: vec![next], turn: Vec::new(), remove: gone.clone() };
            if self.keys.change(&seen(&keys), &change, self.clock.now(), &event).await? {
                return Ok(if at_once {
                    RotatedKey::Replaced { kid, gone }
                } else {
                    RotatedKey::Announced { kid, from }
                });
            }
        }
        Err(AuthError::Key("others change the keys at the same moment"))
    }

    fn fresh(&self, state: KeyState) -> Result<SigningKey, AuthError> {
        let (der, now) = (self.rules.algorithm.generate()?, self.clock.now());
        Ok(SigningKey {
            kid: self.rules.algorithm.public(&der)?.common.key_id.unwrap_or_default(),
            algorithm: self.rules.algorithm.to_string(),
            private: Some(Secret::new(STANDARD.encode(der.as_slice()))),
            state,
            created_at: now,
            changed_at: now,
            ends_at: None,
        })
    }

    fn event(&self, action: &str, kid: &str) -> AuditEvent {
        AuditEvent::new(self.clock, self.entropy, self.actor.clone(), action, kid)
    }
}

fn seen(keys: &[SigningKey]) -> Vec<(String, KeyState)> {
    keys.iter().map(|key| (key.kid.clone(), key.state)).collect()
}

#[cfg(test)]
mod tests;
