//! The last good document of clients that people have allowed something.

use serde::{Deserialize, Serialize};
use storage::{Collection, Durability, Keys, Lifetime, Owner, Result, Stored, Values};

use super::Described;
use crate::Auth;

/// Written when a person allows something, never on a request of nobody's.
pub(crate) const LAST_GOOD: Collection =
    Collection { name: "client-document", durability: Durability::Durable, format: 1, reads: &[] };

/// A document that was good when it was last looked at.
#[derive(Serialize, Deserialize)]
pub(super) struct LastGood {
    pub(super) document: Described,
}

impl Stored for LastGood {
    const COLLECTION: Collection = LAST_GOOD;
    /// An address may be longer than a key; hashed, it is not.
    const KEYS: Keys = Keys::Secret;
}

pub(super) fn last_good(auth: &Auth) -> Values<LastGood> {
    Values::new(&auth.kv, &auth.clock, Owner::Platform, Lifetime::For(auth.config.lifetimes.grant))
}

/// Writes a document anew that was remembered and has changed.
pub(super) async fn renew(auth: &Auth, client_id: &str, document: &Described) -> Result<()> {
    let values = last_good(auth);
    let Some(kept) = values.get(client_id).await? else { return Ok(()) };
    if kept.value.document != *document {
        // Whoever is faster has read the same document.
        values.replace(client_id, kept.revision, &LastGood { document: document.clone() }).await?;
    }
    Ok(())
}
