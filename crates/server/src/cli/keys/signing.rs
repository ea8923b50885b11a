use auth::{KeyRotation, RotatedKey};
use storage::repo::Actor;

use crate::{Store, config::Config};

pub(super) async fn rotate(store: &Store, config: &Config, compromised: bool) -> anyhow::Result<String> {
    let rotation = KeyRotation {
        keys: &*store.repos.signing,
        rules: config.tokens.keys,
        clock: &*store.clock,
        entropy: &*store.entropy,
        actor: &Actor::System,
    };
    Ok(match rotation.rotate(compromised).await? {
        RotatedKey::Announced { kid, from } => format!(
            "The signing key {kid} is published. It signs from {from} on, if a portico process runs then; the key that \
             signs now stays published until its last token has expired.\n"
        ),
        RotatedKey::Replaced { kid, gone } if gone.is_empty() => format!("The signing key {kid} signs.\n"),
        RotatedKey::Replaced { kid, gone } => format!(
            "The signing key {kid} signs. Gone, with every access token that they signed: {}. Clients refresh theirs \
             and go on. Whoever else verifies tokens has to fetch the keys anew.\n",
            gone.join(", ")
        ),
    })
}
