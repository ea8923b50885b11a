use std::fmt;

use async_trait::async_trait;
use model::{Secret, Timestamp};

use super::AuditEvent;
use crate::Result;

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, not used yet, so that verifiers know it when it starts.
    Pending,
    /// Signs.
    Active,
    /// Published until the last token it signed has expired.
    Retiring,
}

/// A key pair that signs access tokens.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The RFC 7638 thumbprint of the public key.
    pub kid: String,
    /// The JOSE algorithm: `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// The private key as PKCS#8 DER, in base64. A sealed column; `None` if what is stored does not open.
    pub private: Option<Secret>,
    /// Where it is in its life.
    pub state: KeyState,
    /// Since when.
    pub created_at: Timestamp,
    /// Since when it is in this state.
    pub changed_at: Timestamp,
    /// Until when it is published, once it is retiring.
    pub ends_at: Option<Timestamp>,
}

/// What becomes of signing keys, in one transaction.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// New keys.
    pub add: Vec<SigningKey>,
    /// Keys that are in another state from now on, and until when they are published.
    pub turn: Vec<(String, KeyState, Option<Timestamp>)>,
    /// Keys that are gone, with every token that they signed.
    pub remove: Vec<String>,
}

/// The keys that sign access tokens.
#[async_trait]
pub trait SigningKeys: Send + Sync + fmt::Debug {
    /// All keys, oldest first. Not in pages: every one of them is published, and there is one per rotation
    /// that a token may still be signed with.
    async fn all(&self) -> Result<Vec<SigningKey>>;

    /// Makes a change, if the keys are still `seen`: the same ones in the same states. Of several callers that
    /// saw the same exactly one gets `true`; for the others nothing is written. Appends `SigningKeys` to the feed.
    async fn change(
        &self,
        seen: &[(String, KeyState)],
        change: &KeyChange,
        now: Timestamp,
        audit: &AuditEvent,
    ) -> Result<bool>;
}
