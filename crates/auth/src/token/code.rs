//! The `authorization_code` grant. The order of checks is the defence: see each step.

use std::time::Duration;

use model::Timestamp;
use protocol::oauth::{CodeChallenge, Error, ErrorCode, Params, TokenResponse};
use storage::repo::{Actor, Client, Code, Grant, Redeemed};

use super::{Failure, invalid_grant, mint};
use crate::{
    Auth,
    client::{self, hash},
    issuer::Issuer,
};

/// A second redemption within this time is a client that did not get the first answer; later it is a
/// stolen code.
const RETRY: Duration = Duration::from_secs(10);
/// A code that failed its checks this often is burned.
const MAX_FAILURES: u32 = 5;

pub(super) async fn redeem(
    auth: &Auth,
    issuer: &Issuer,
    client: &Client,
    form: &Params,
) -> Result<TokenResponse, Failure> {
    let missing = |why| Failure::Error(Error::new(ErrorCode::InvalidRequest, why));
    let text = form.get("code").ok_or_else(|| missing("the code is missing"))?;
    let verifier = form.get("code_verifier").ok_or_else(|| missing("the code_verifier is missing"))?;
    let found = auth.repos.grants.code(&hash(text)).await?;
    let (code, grant) = found.ok_or_else(|| invalid_grant("the code is not known"))?;
    let now = auth.clock.now();
    if code.failures >= MAX_FAILURES {
        return Err(invalid_grant("the code is not valid"));
    }
    if let Err(failure) = check(auth, issuer, client, form, verifier, &code, &grant) {
        // With S256 there is nothing to guess, so a failed check does not burn the code by itself: that
        // would let anybody who saw it end the sign-in.
        if code.used_at.is_none() {
            auth.repos.grants.count_failure(&code.hash).await?;
        }
        return Err(failure);
    }
    if let Some(used_at) = code.used_at {
        return Err(replayed(auth, client, &grant, used_at, now).await?);
    }
    if code.expires_at <= now {
        return Err(invalid_grant("the code has expired"));
    }
    mint::check_grant(auth, &grant, now).await?;
    client::used(auth, client).await?;
    mint_from(auth, client, &code, &grant).await
}

/// Compares everything that the code is bound to.
fn check(
    auth: &Auth,
    issuer: &Issuer,
    client: &Client,
    form: &Params,
    verifier: &str,
    code: &Code,
    grant: &Grant,
) -> Result<(), Failure> {
    if grant.client_id != client.client_id {
        return Err(invalid_grant("the code is another client's"));
    }
    if mint::issuer_of(auth, grant)? != *issuer {
        return Err(invalid_grant("the code is another issuer's"));
    }
    // OAuth 2.1 dropped the parameter; who sends it must send the right one (§10.2).
    if form.get("redirect_uri").is_some_and(|sent| sent != code.redirect_uri) {
        return Err(invalid_grant("the redirect_uri is not the one of the request"));
    }
    if !CodeChallenge::parse(&code.challenge).is_ok_and(|challenge| challenge.verify(verifier)) {
        return Err(invalid_grant("the code_verifier does not fit"));
    }
    mint::check_resource(auth, form, &grant.resource)
}

/// A code that was used before, presented by who may present it (OAuth 2.1 §7.5.3): tokens may be in wrong
/// hands. What fails a check never gets here, or anybody could end a grant.
async fn replayed(
    auth: &Auth,
    client: &Client,
    grant: &Grant,
    used_at: Timestamp,
    now: Timestamp,
) -> Result<Failure, Failure> {
    if now.since(used_at) > RETRY {
        let event = auth.audit(Actor::Client(client.client_id.clone()), "grant.code_replayed", grant.id);
        auth.repos.grants.revoke(grant.id, now, &event.in_tenant(grant.tenant)).await?;
        auth.sync().await;
    }
    Ok(invalid_grant("the code was used already"))
}

async fn mint_from(auth: &Auth, client: &Client, code: &Code, grant: &Grant) -> Result<TokenResponse, Failure> {
    let now = auth.clock.now();
    let id = auth.id();
    let refresh = client.may_refresh.then(|| mint::refresh_token(auth, grant, &grant.scopes, id, None));
    let (text, row) = refresh.unzip();
    let event = auth.audit(Actor::Client(client.client_id.clone()), "grant.code_redeemed", grant.id);
    let event = event.in_tenant(grant.tenant);
    match auth.repos.grants.redeem(&code.hash, row.as_ref(), now, &event).await? {
        Redeemed::Yes => mint::respond(auth, grant, &grant.scopes, id, text),
        // Somebody was faster, with the same code and the same proofs: the first answer counts.
        Redeemed::No => Err(invalid_grant("the code was used already")),
    }
}
