use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    Key, KeyInit as _, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use model::{Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::{Result, Sealer, aead::append_parts};

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

impl TokenKind {
    const ALL: [Self; 4] = [Self::Session, Self::RequestState, Self::Cursor, Self::Task];

    const fn purpose(self) -> &'static str {
        match self {
            Self::Session => "token/session",
            Self::RequestState => "token/request-state",
            Self::Cursor => "token/cursor",
            Self::Task => "token/task",
        }
    }
}

/// The version of the layout.
const VERSION: u8 = 1;
/// Which key of a kind seals. A second one comes with rotation.
const KEY_ID: u8 = 1;
const EXPIRY: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
const HEAD: usize = 2 + EXPIRY + NONCE;
/// The longest text that is looked at: far above any token of ours, far below what would cost.
const LONGEST: usize = 128 * 1024;

/// Seals state into tokens that clients hold for us, so that any replica can serve any request with
/// nothing to look up. A token opens only for the kind and the binding that it was made for.
///
/// Form: unpadded base64url of version, key id, expiry, nonce and ciphertext (XChaCha20-Poly1305).
pub struct SealedTokens {
    ciphers: [XChaCha20Poly1305; 4],
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTokens")
    }
}

impl SealedTokens {
    /// Derives the key of every kind. No I/O after this.
    pub async fn new(sealer: &Sealer, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let [session, request_state, cursor, task] = TokenKind::ALL.map(|kind| sealer.derive(kind.purpose()));
        let keys = [session.await?, request_state.await?, cursor.await?, task.await?];
        let ciphers = keys.map(|key| XChaCha20Poly1305::new(<&Key>::from(&*key)));
        Ok(Self { ciphers, entropy })
    }

    /// Seals `payload`; `binding` are the things it belongs to (tenant, server, principal, client, …),
    /// in an order that sealing and opening share.
    pub fn seal(&self, kind: TokenKind, binding: &[&[u8]], payload: &[u8], expires: Timestamp) -> String {
        let mut token = Vec::with_capacity(HEAD + payload.len() + TAG);
        token.extend_from_slice(&[VERSION, KEY_ID]);
        token.extend_from_slice(&expires.millis().to_be_bytes());
        let mut nonce = [0; NONCE];
        self.entropy.fill(&mut nonce);
        token.extend_from_slice(&nonce);
        let bound = associated(kind, &token[..2 + EXPIRY], binding);
        token.extend_from_slice(payload);
        let tag = self
            .cipher(kind)
            .encrypt_inout_detached(&XNonce::from(nonce), &bound, InOutBuf::from(&mut token[HEAD..]))
            .expect("a payload is far below 256 GiB");
        token.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Opens a token; `None` if it is of another kind or binding, expired, changed, or no token at all.
    pub fn open(&self, kind: TokenKind, binding: &[&[u8]], token: &str, now: Timestamp) -> Option<Zeroizing<Vec<u8>>> {
        if token.len() > LONGEST {
            return None;
        }
        let mut token = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).ok()?);
        let (head, sealed) = token.split_first_chunk_mut::<HEAD>()?;
        let (fixed, nonce) = head.split_at(2 + EXPIRY);
        let (names, expiry) = fixed.split_at(2);
        let expires = Timestamp::from_millis(i64::from_be_bytes(expiry.try_into().ok()?));
        if names != [VERSION, KEY_ID] || expires <= now {
            return None;
        }
        let nonce = XNonce::from(<[u8; NONCE]>::try_from(nonce).ok()?);
        let bound = associated(kind, fixed, binding);
        let (payload, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let tag = Tag::from(*tag);
        self.cipher(kind).decrypt_inout_detached(&nonce, &bound, InOutBuf::from(&mut *payload), &tag).ok()?;
        let opened = HEAD..token.len() - TAG;
        token.copy_within(opened.clone(), 0);
        token.truncate(opened.len());
        Some(token)
    }

    fn cipher(&self, kind: TokenKind) -> &XChaCha20Poly1305 {
        &self.ciphers[kind as usize]
    }
}

fn associated(kind: TokenKind, head: &[u8], binding: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::with_capacity(64 + binding.iter().map(|part| part.len() + 8).sum::<usize>());
    append_parts(&mut all, &[kind.purpose().as_bytes(), head]);
    append_parts(&mut all, binding);
    all
}

#[cfg(test)]
mod tests;
