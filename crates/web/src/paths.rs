//! The console's addresses: routes, and functions that write them for links. A slug has only letters,
//! digits and dashes, so nothing needs to be encoded.

use model::{GrantId, ServerSlug, TenantSlug};

pub(crate) const HOME: &str = "/";
pub(crate) const GRANTS: &str = "/grants";
pub(crate) const REVOKE: &str = "/grants/{grant}/revoke";
/// No tenant can have this slug: it is a reserved word.
pub(crate) const NEW_TENANT: &str = "/t/new";
pub(crate) const TENANT: &str = "/t/{tenant}";
pub(crate) const REGISTER: &str = "/t/{tenant}/new";
pub(crate) const SERVER: &str = "/t/{tenant}/{server}";
pub(crate) const REVIEW: &str = "/t/{tenant}/{server}/review";

/// No server can have this slug: it is a reserved word.
pub(crate) const SETTINGS: &str = "/t/{tenant}/settings";

pub(crate) fn settings(tenant: &TenantSlug) -> String {
    format!("/t/{tenant}/settings")
}

pub(crate) fn tenant(slug: &TenantSlug) -> String {
    format!("/t/{slug}")
}

pub(crate) fn register(tenant: &TenantSlug) -> String {
    format!("/t/{tenant}/new")
}

pub(crate) fn server(tenant: &TenantSlug, server: &ServerSlug) -> String {
    format!("/t/{tenant}/{server}")
}

pub(crate) fn review(tenant: &TenantSlug, server: &ServerSlug) -> String {
    format!("/t/{tenant}/{server}/review")
}

pub(crate) fn revoke(grant: GrantId) -> String {
    format!("/grants/{grant}/revoke")
}
