//! The `refresh_token` grant: a token is replaced by every use.

use protocol::oauth::{Error, ErrorCode, Params, TokenResponse};
use storage::repo::{Actor, Client, RefreshFamily, Rotated};

use super::{Failure, invalid_grant, mint};
use crate::{
    Auth,
    client::{self, hash},
};

/// How many tokens may replace one within the grace period.
const SIBLINGS: u32 = 5;

pub(super) async fn rotate(auth: &Auth, client: &Client, form: &Params) -> Result<TokenResponse, Failure> {
    let missing = || Error::new(ErrorCode::InvalidRequest, "the refresh_token is missing");
    let text = form.get("refresh_token").ok_or_else(missing)?;
    let family = auth.repos.grants.refresh(&hash(text)).await?;
    let family = family.ok_or_else(|| invalid_grant("the refresh token is not known"))?;
    let RefreshFamily { token, grant, .. } = &family;
    let now = auth.clock.now();
    // Who presents another client's token has proved nothing: nothing is revoked.
    if grant.client_id != client.client_id {
        return Err(invalid_grant("the refresh token is another client's"));
    }
    mint::check_resource(auth, form, &grant.resource)?;
    let scopes = mint::narrowed(form, &token.scopes)?;
    if token.expires_at <= now {
        return Err(invalid_grant("the refresh token has expired"));
    }
    mint::check_grant(auth, grant, now).await?;
    client::used(auth, client).await?;
    // The successor has the same scopes (OAuth 2.1 §4.3): `scope` narrows the access token only.
    let parent = Some((token.hash, token.generation));
    let (text, child) = mint::refresh_token(auth, grant, &token.scopes, parent);
    let event = auth.audit(Actor::Client(client.client_id.clone()), "grant.refreshed", grant.id);
    let event = event.in_tenant(grant.tenant);
    let grace_from = now - auth.config.lifetimes.refresh_grace;
    match auth.repos.grants.rotate(&child, now, grace_from, SIBLINGS, &event).await? {
        // Siblings: clients race with themselves, and answers get lost.
        Rotated::First | Rotated::Sibling => mint::respond(auth, grant, &scopes, Some(text)),
        Rotated::No => Err(refused(auth, client, &family).await?),
    }
}

/// Why a token could not be replaced, and what follows from it.
async fn refused(auth: &Auth, client: &Client, family: &RefreshFamily) -> Result<Failure, Failure> {
    let now = auth.clock.now();
    // As it is now: another request may have come between.
    let family = auth.repos.grants.refresh(&family.token.hash).await?;
    let Some(RefreshFamily { token, grant, .. }) = family else {
        return Ok(invalid_grant("the refresh token is not known"));
    };
    let Some(rotated_at) = token.rotated_at else {
        return Ok(invalid_grant("the grant has ended"));
    };
    if now.since(rotated_at) <= auth.config.lifetimes.refresh_grace {
        return Ok(invalid_grant("the refresh token was used too often"));
    }
    // Replaced long ago, by its own client's account: one of two holders is a thief, and we cannot tell
    // which. A rule for an answer that was lost longer ago (no descendant ever used) goes here.
    let event = auth.audit(Actor::Client(client.client_id.clone()), "grant.refresh_reused", grant.id);
    auth.repos.grants.revoke(grant.id, now, &event.in_tenant(grant.tenant)).await?;
    auth.sync().await;
    Ok(invalid_grant("the refresh token was used already"))
}
