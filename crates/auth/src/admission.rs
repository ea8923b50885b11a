//! Which clients a tenant lets in: what its policies and its blocks mean.
//!
//! A client asks before anybody has signed in, and which tenant it asks for is known once the resource names it. So
//! this is looked at twice: when the request comes, if it names a resource, before any document is fetched; and
//! when a person allows it, for the server that they chose. Policies are for new grants; a block also ends those
//! that are there.

use model::TenantId;
use protocol::oauth::{DocumentUrl, RedirectKind, RedirectUri};
use storage::{
    Result,
    repo::{Client, ClientOrigin, ClientPolicy, PolicyMode},
};

use crate::Auth;

/// Whether a tenant lets the client at this address in, as far as can be said before it is asked.
pub(crate) async fn admits_address(auth: &Auth, tenant: TenantId, client_id: &str) -> Result<bool> {
    // One that is no address is nothing that a tenant has an opinion of; there is no client there either.
    let Ok(address) = DocumentUrl::parse(client_id, auth.config.documents.local) else { return Ok(true) };
    let policies = auth.repos.clients.policies(tenant).await?;
    Ok(lets_in(&policies.documents, address.host) && !auth.repos.clients.is_blocked_in(tenant, client_id).await?)
}

/// Whether a tenant lets a client in that wants its answer at this redirect URI.
pub(crate) async fn admits(auth: &Auth, tenant: TenantId, client: &Client, redirect_uri: &str) -> Result<bool> {
    let fits = match client.origin {
        // A tenant's own client is for its own servers.
        ClientOrigin::Registered => client.tenant.is_none_or(|own| own == tenant),
        ClientOrigin::Document => return admits_address(auth, tenant, &client.client_id).await,
        ClientOrigin::Dynamic => {
            let policies = auth.repos.clients.policies(tenant).await?;
            target(auth, redirect_uri).is_some_and(|target| lets_in(&policies.dynamic, target))
        }
    };
    Ok(fits && !auth.repos.clients.is_blocked_in(tenant, &client.client_id).await?)
}

/// Where a redirect URI leads, in the words of a list.
fn target<'a>(auth: &Auth, redirect_uri: &'a str) -> Option<&'a str> {
    let uri = RedirectUri::register(redirect_uri, &auth.config.private_redirects).ok()?;
    Some(if uri.kind == RedirectKind::Loopback { "localhost" } else { uri.target })
}

fn lets_in(policy: &ClientPolicy, target: &str) -> bool {
    match policy.mode {
        PolicyMode::Off => false,
        PolicyMode::Allowlist => policy.allow.iter().any(|listed| listed.eq_ignore_ascii_case(target)),
        PolicyMode::Open => true,
    }
}
