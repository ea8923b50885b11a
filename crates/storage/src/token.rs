use std::{fmt, sync::Arc};

use model::{Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::{Result, Sealer};

/// What a sealed token is for; each kind has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An `Mcp-Session-Id`: holds the upstream's session id.
    Session,
    /// A `requestState` of an input-required result.
    RequestState,
    /// A list's cursor.
    Cursor,
    /// A task's id.
    Task,
}

/// Seals state into tokens that clients hold for us, so that any replica can serve any request with
/// nothing to look up. A token opens only for the kind and the binding that it was made for.
///
/// Form: unpadded base64url of version, key id, expiry, nonce and ciphertext (XChaCha20-Poly1305).
pub struct SealedTokens {
    _entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTokens")
    }
}

impl SealedTokens {
    /// Derives the key of every kind. No I/O after this.
    pub async fn new(_sealer: &Sealer, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self { _entropy: entropy })
    }

    /// Seals `payload`; `binding` are the things it belongs to (tenant, server, principal, client, …),
    /// in an order that sealing and opening share.
    pub fn seal(&self, _kind: TokenKind, _binding: &[&[u8]], _payload: &[u8], _expires: Timestamp) -> String {
        todo!("storage helper")
    }

    /// Opens a token; `None` if it is of another kind or binding, expired, changed, or no token at all.
    pub fn open(
        &self,
        _kind: TokenKind,
        _binding: &[&[u8]],
        _token: &str,
        _now: Timestamp,
    ) -> Option<Zeroizing<Vec<u8>>> {
        todo!("storage helper")
    }
}
