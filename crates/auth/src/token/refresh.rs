//! The `refresh_token` grant: a token is replaced by every use.

use std::time::Duration;

use model::ScopeSet;
use protocol::oauth::{Error, ErrorCode, Params, TokenResponse};
use storage::repo::{Actor, Client, Grant, RefreshFamily, Replacement, Rotated};

use super::{Failure, invalid_grant, mint};
use crate::{
    Auth,
    client::{self, hash},
    issuer::Issuer,
};

/// How many tokens may replace one within the grace period: as many as processes of one person's client that
/// start at the same moment, and some more.
const SIBLINGS: u32 = 24;
/// When a client that has more of them may try again.
const LATER: Duration = Duration::from_secs(10);

/// The order of checks is the defence. What proves nothing (an unknown token, another client's) ends nothing; what
/// is wrong with the request leaves the token as it is; the last one is made by the store, in the transaction that
/// replaces the token.
pub(super) async fn rotate(
    auth: &Auth,
    issuer: &Issuer,
    client: &Client,
    form: &Params,
) -> Result<TokenResponse, Failure> {
    let missing = || Error::new(ErrorCode::InvalidRequest, "the refresh_token is missing");
    let text = form.get("refresh_token").ok_or_else(missing)?;
    let family = auth.repos.grants.refresh(&hash(text)).await?;
    let RefreshFamily { token, grant, .. } = family.ok_or_else(|| invalid_grant("the refresh token is not known"))?;
    let now = auth.clock.now();
    if grant.client_id != client.client_id {
        return Err(invalid_grant("the refresh token is another client's"));
    }
    if mint::issuer_of(auth, &grant)? != *issuer {
        return Err(invalid_grant("the refresh token is another issuer's"));
    }
    mint::check_resource(auth, form, &grant.resource)?;
    let asked = mint::narrowed(form, &token.scopes)?;
    if token.expires_at <= now {
        return Err(invalid_grant("the refresh token has expired"));
    }
    mint::check_grant(auth, &grant, now).await?;
    let scopes = allowed(client, &asked)?;
    client::used(auth, client).await?;
    if token.rotated_at.is_some() {
        // What became of its successor decides, and this process may be the one that has seen it.
        auth.write_uses().await?;
    }
    // The successor has the same scopes (OAuth 2.1 §4.3): `scope` narrows the access token only.
    let (id, parent) = (auth.id(), Some((token.hash, token.generation)));
    let (text, child) = mint::refresh_token(auth, &grant, &token.scopes, id, parent);
    let event = auth.audit(Actor::Client(client.client_id.clone()), "grant.refreshed", grant.id);
    let rotated = auth.repos.grants.rotate(&child, now, &rules(auth, &grant), &event.in_tenant(grant.tenant)).await?;
    match rotated {
        Rotated::First | Rotated::Sibling => mint::respond(auth, &grant, &scopes, id, Some(text)),
        Rotated::Recovered { version } => {
            auth.sync().await;
            mint::respond(auth, &Grant { version, ..grant }, &scopes, id, Some(text))
        }
        Rotated::Reused => {
            auth.sync().await;
            Err(invalid_grant("the refresh token was used already"))
        }
        // Not `invalid_grant`: clients throw everything away on that, and theirs is good.
        Rotated::TooMany => Err(Failure::Wait(LATER)),
        // Something ended it since it was looked at.
        Rotated::No => Err(invalid_grant("the grant has ended")),
    }
}

/// What the tenant and the installation have set.
fn rules(auth: &Auth, grant: &Grant) -> Replacement {
    let lifetimes = &auth.config.lifetimes;
    let grace = auth.directory.token_policy(grant.tenant).refresh_grace.unwrap_or(lifetimes.refresh_grace);
    Replacement { grace, lost: lifetimes.refresh_lost, siblings: SIBLINGS }
}

/// What the client may still have of it: less may be registered for it now than when it got the token.
fn allowed(client: &Client, asked: &ScopeSet) -> Result<ScopeSet, Failure> {
    let scopes = asked.intersection(&client.scopes);
    if mint::is_useful(&scopes) {
        Ok(scopes)
    } else {
        Err(invalid_grant("the client may have none of these scopes now"))
    }
}
