use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    Key, KeyInit as _, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use model::{Clock, Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::{DERIVED_LIFE, Derived, Sealer, aead::append_parts};

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
const VERSION: u8 = 2;
/// A token of the first version begins with these: it had one byte for the key's id, and there was one key.
/// None is left a week after the second version came.
const FIRST: [u8; 2] = [1, 1];
const KEY_ID: usize = 4;
const EXPIRY: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
const FIXED: usize = 1 + KEY_ID + EXPIRY;
const HEAD: usize = FIXED + NONCE;
/// The longest text that is looked at: far above any token of ours, far below what would cost.
const LONGEST: usize = 128 * 1024;

/// Seals state into tokens that clients hold for us, so that any replica can serve any request with
/// nothing to look up. A token opens only for the kind and the binding that it was made for.
///
/// The keys follow rotation: the newest seals, all of them open.
///
/// Form: unpadded base64url of version, key id, expiry, nonce and ciphertext (XChaCha20-Poly1305).
pub struct SealedTokens {
    ciphers: [Derived<XChaCha20Poly1305>; 4],
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for SealedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTokens")
    }
}

impl SealedTokens {
    /// Derives the keys of every kind. Following the sealer's rotations does no I/O.
    pub fn new(sealer: &Arc<Sealer>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let cipher = |key: &[u8; 32]| XChaCha20Poly1305::new(<&Key>::from(key));
        Self { ciphers: TokenKind::ALL.map(|kind| Derived::new(sealer, kind.purpose(), cipher)), clock, entropy }
    }

    /// Seals `payload`; `binding` are the things it belongs to (tenant, server, principal, client, …),
    /// in an order that sealing and opening share. No token lives longer than [`DERIVED_LIFE`].
    pub fn seal(&self, kind: TokenKind, binding: &[&[u8]], payload: &[u8], expires: Timestamp) -> String {
        let expires = expires.min(self.clock.now() + DERIVED_LIFE);
        self.cipher(kind).newest(|id, cipher| {
            let mut token = Vec::with_capacity(HEAD + payload.len() + TAG);
            token.push(VERSION);
            token.extend_from_slice(&id.to_be_bytes());
            token.extend_from_slice(&expires.millis().to_be_bytes());
            let mut nonce = [0; NONCE];
            self.entropy.fill(&mut nonce);
            let bound = associated(kind, &token, binding);
            token.extend_from_slice(&nonce);
            token.extend_from_slice(payload);
            let tag = cipher
                .encrypt_inout_detached(&XNonce::from(nonce), &bound, InOutBuf::from(&mut token[HEAD..]))
                .expect("a payload is far below 256 GiB");
            token.extend_from_slice(&tag);
            URL_SAFE_NO_PAD.encode(token)
        })
    }

    /// Opens a token; `None` if it is of another kind or binding, expired, changed, or no token at all.
    pub fn open(&self, kind: TokenKind, binding: &[&[u8]], token: &str, now: Timestamp) -> Option<Zeroizing<Vec<u8>>> {
        if token.len() > LONGEST {
            return None;
        }
        let mut token = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).ok()?);
        let (id, names) = match *token.as_slice() {
            [VERSION, a, b, c, d, ..] => (u32::from_be_bytes([a, b, c, d]), 1 + KEY_ID),
            [version, id, ..] if [version, id] == FIRST => (1, FIRST.len()),
            _ => return None,
        };
        let (fixed, sealed) = token.split_at_mut_checked(names + EXPIRY)?;
        let (nonce, sealed) = sealed.split_first_chunk_mut::<NONCE>()?;
        let (payload, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let expires = Timestamp::from_millis(i64::from_be_bytes(*fixed.last_chunk()?));
        if expires <= now {
            return None;
        }
        let (nonce, tag, bound) = (XNonce::from(*nonce), Tag::from(*tag), associated(kind, fixed, binding));
        let opened = self
            .cipher(kind)
            .of(id, |cipher| cipher.decrypt_inout_detached(&nonce, &bound, InOutBuf::from(&mut *payload), &tag).ok());
        opened.flatten()?;
        let payload = names + EXPIRY + NONCE..token.len() - TAG;
        token.copy_within(payload.clone(), 0);
        token.truncate(payload.len());
        Some(token)
    }

    fn cipher(&self, kind: TokenKind) -> &Derived<XChaCha20Poly1305> {
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
