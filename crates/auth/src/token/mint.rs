use model::{Resource, Scope, ScopeSet, Secret, Timestamp, TokenId, random_token};
use protocol::oauth::{Error, ErrorCode, Params, TokenResponse};
use storage::repo::{Grant, Refresh, TokenHash};

use super::{Failure, invalid_grant};
use crate::{Auth, access, client::hash, guard::AccessClaims, issuer::Issuer};

/// A fresh refresh token and its row. `token` is the access token that goes with it.
pub(super) fn refresh_token(
    auth: &Auth,
    grant: &Grant,
    scopes: &ScopeSet,
    token: TokenId,
    parent: Option<(TokenHash, u32)>,
) -> (Secret, Refresh) {
    let now = auth.clock.now();
    let text = Secret::new(random_token(&*auth.entropy, "rt_"));
    let row = Refresh {
        hash: hash(text.expose()),
        grant: grant.id,
        parent: parent.map(|(hash, _)| hash),
        generation: parent.map_or(0, |(_, generation)| generation + 1),
        scopes: scopes.clone(),
        issued_at: now,
        expires_at: (now + auth.config.lifetimes.refresh_idle).min(grant.expires_at),
        token: Some(token),
        used_at: None,
        rotated_at: None,
        superseded_at: None,
    };
    (text, row)
}

/// Signs an access token for a grant and puts the answer together. Only after whatever it is minted from
/// was consumed and committed.
pub(super) fn respond(
    auth: &Auth,
    grant: &Grant,
    scopes: &ScopeSet,
    id: TokenId,
    refresh_token: Option<Secret>,
) -> Result<TokenResponse, Failure> {
    let now = auth.clock.now();
    let lives = auth.directory.token_policy(grant.tenant).access.unwrap_or(auth.config.lifetimes.access);
    let expires = (now + lives).min(grant.expires_at);
    let claims = AccessClaims {
        iss: issuer_of(auth, grant)?.url().to_owned(),
        sub: grant.user,
        aud: grant.resource.to_string(),
        client_id: grant.client_id.clone(),
        jti: id,
        iat: now.seconds(),
        exp: expires.seconds(),
        scope: scopes.clone(),
        tenant: grant.tenant,
        srv: grant.server,
        gid: grant.id,
        gv: grant.version,
    };
    let access_token = auth.snapshot.keys().sign(&claims)?;
    Ok(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: u64::try_from(expires.seconds() - now.seconds()).unwrap_or(0),
        scope: scopes.to_string(),
        refresh_token,
    })
}

/// Who issues tokens for a grant: the issuer of its resource, at whichever endpoint it was asked for.
pub(super) fn issuer_of(auth: &Auth, grant: &Grant) -> Result<Issuer, Failure> {
    match Resource::parse(&auth.origins.mcp, grant.resource.as_str()) {
        Ok((_, path)) => Ok(Issuer::of(auth, &path)),
        // The installation has moved since.
        Err(_) => Err(invalid_grant("the grant no longer holds")),
    }
}

/// Checks that the `resource` of a token request, if there is one, is the granted one (RFC 8707 §2.2).
pub(super) fn check_resource(auth: &Auth, form: &Params, granted: &Resource) -> Result<(), Failure> {
    let Some(text) = form.get("resource") else { return Ok(()) };
    match Resource::parse(&auth.origins.mcp, text) {
        Ok((resource, _)) if resource == *granted => Ok(()),
        _ => Err(Error::new(ErrorCode::InvalidTarget, "the resource is not the granted one").into()),
    }
}

/// The scopes of an access token: the granted ones, or fewer if the request says so.
pub(super) fn narrowed(form: &Params, granted: &ScopeSet) -> Result<ScopeSet, Failure> {
    let invalid = Error::new(ErrorCode::InvalidScope, "the scope is malformed or more than was granted");
    let Some(text) = form.get("scope") else { return Ok(granted.clone()) };
    let asked: ScopeSet = text.parse().map_err(|_| invalid.clone())?;
    if is_useful(&asked) && granted.contains_all(&asked) { Ok(asked) } else { Err(invalid.into()) }
}

/// Whether there is anything in it that a server looks at.
pub(super) fn is_useful(scopes: &ScopeSet) -> bool {
    scopes.iter().any(|scope| scope.as_str() != Scope::OFFLINE)
}

/// Checks that a grant has not ended and that what it rests on still holds.
pub(super) async fn check_grant(auth: &Auth, grant: &Grant, now: Timestamp) -> Result<(), Failure> {
    if matches!(grant.state, storage::repo::GrantState::Revoked { .. }) || grant.expires_at <= now {
        return Err(invalid_grant("the grant has ended"));
    }
    if access::still_holds(auth, grant).await? { Ok(()) } else { Err(invalid_grant("the grant no longer holds")) }
}
