use std::sync::Arc;

use model::{GrantId, Principal, ScopeSet, ServerId, TenantId, Timestamp};

use crate::guard::Verified;

/// A request that the guard let through.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// Who it acts for.
    pub principal: Principal,
    /// The tenant of the resource.
    pub tenant: TenantId,
    /// The server of the resource.
    pub server: ServerId,
    /// What it may do; ask with [`ScopeSet::grants`].
    pub scopes: Arc<ScopeSet>,
    /// The application it comes from.
    pub client_id: Arc<str>,
    /// By which grant, for people.
    pub grant: Option<GrantId>,
    /// The token that it came with, if it is one of ours.
    pub(crate) token: Option<Arc<Verified>>,
    /// When its token ends. A stream must not outlive it.
    pub expires: Timestamp,
}
