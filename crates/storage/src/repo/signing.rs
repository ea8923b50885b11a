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
    /// The JOSE algorithm, `ES256` for now.
    pub algorithm: String,
    /// The private key as PKCS#8 DER, in base64. A sealed column.
    pub private: Secret,
    /// Where it is in its life.
    pub state: KeyState,
    /// Since when.
    pub created_at: Timestamp,
}

/// The keys that sign access tokens.
#[async_trait]
pub trait SigningKeys: Send + Sync + fmt::Debug {
    /// All keys, oldest first. Not in pages: every one of them is published, and there is one per rotation
    /// that a token may still be signed with.
    async fn all(&self) -> Result<Vec<SigningKey>>;

    /// Adds the first key, if there is none. Of several callers exactly one gets `true`. Appends
    /// `SigningKeys` to the feed.
    async fn insert_first(&self, key: &SigningKey, audit: &AuditEvent) -> Result<bool>;
}
