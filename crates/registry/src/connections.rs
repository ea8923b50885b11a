//! Links to identity providers, as admins and operators make and change them.
//!
//! Invariants:
//! - What says who people are never changes: kind, issuer, address of the user information and where the subject
//!   stands in it. At another place the same subject is somebody else, who would walk into the account. Another
//!   place is another connection.
//! - Who changes a tenant's connection is its admin; who changes the platform's is an operator.

use model::{ConnectionId, Name, Secret, Slug, TenantId};
use serde_json::json;
use storage::repo::{Actor, AuditEvent, Connection, ConnectionKind, ConnectionOwner, Endpoints};

use crate::{Admin, Error, Operator, Registry, Result};

/// How many connections an owner may have: each is a button on a sign-in page.
pub(crate) const MOST_CONNECTIONS: usize = 20;

/// Who may change the connections of an owner.
#[derive(Clone, Copy, Debug)]
pub enum Keeper<'a> {
    /// Of the platform.
    Platform(Operator<'a>),
    /// Of a tenant.
    Tenant(Admin<'a>),
}

impl Keeper<'_> {
    /// Whose connections.
    pub fn owner(self) -> ConnectionOwner {
        self.tenant().map_or(ConnectionOwner::Platform, ConnectionOwner::Tenant)
    }

    fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Platform(_) => None,
            Self::Tenant(admin) => Some(admin.member().tenant().id),
        }
    }

    fn actor(self) -> Actor {
        match self {
            Self::Platform(operator) => Actor::User(operator.user().id),
            Self::Tenant(admin) => Actor::User(admin.member().user()),
        }
    }
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its name in addresses.
    pub slug: Slug<2>,
    /// What is at the other end.
    pub kind: ConnectionKind,
    /// What pages call it.
    pub name: Name,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// Where it is.
    pub endpoints: Endpoints,
}

/// What may change about a connection.
#[derive(Clone, Debug)]
pub struct ConnectionChange {
    /// What pages call it.
    pub name: Name,
    /// Our id there.
    pub client_id: String,
    /// Our secret there; `None` leaves it.
    pub client_secret: Option<Secret>,
    /// Whether people may sign in through it.
    pub enabled: bool,
}

impl Registry {
    /// The connections that somebody keeps.
    pub async fn connections(&self, keeper: Keeper<'_>) -> Result<Vec<Connection>> {
        Ok(self.repos.connections.list(keeper.owner()).await?)
    }

    /// One of them, by slug.
    pub async fn connection(&self, keeper: Keeper<'_>, slug: &str) -> Result<Option<Connection>> {
        Ok(self.connections(keeper).await?.into_iter().find(|connection| connection.slug.as_str() == slug))
    }

    /// A connection as it would be made, checked as far as that needs no network. Its callback address is in it.
    pub async fn plan_connection(&self, keeper: Keeper<'_>, new: NewConnection) -> Result<Connection> {
        check_endpoints(new.kind, &new.endpoints)?;
        check_client_id(&new.client_id)?;
        let present = self.connections(keeper).await?;
        if present.iter().any(|connection| connection.slug == new.slug) {
            return Err(Error::Taken("this name"));
        }
        if present.len() >= MOST_CONNECTIONS {
            return Err(Error::invalid("slug", "there are too many connections: delete one first"));
        }
        let callback = match keeper {
            Keeper::Platform(_) => new.slug.to_string(),
            Keeper::Tenant(admin) => format!("{}.{}", admin.member().tenant().slug, new.slug),
        };
        Ok(Connection {
            id: self.id(),
            owner: keeper.owner(),
            slug: new.slug,
            callback,
            kind: new.kind,
            name: new.name,
            client_id: new.client_id,
            client_secret: Some(new.client_secret),
            endpoints: new.endpoints,
            created_at: self.clock.now(),
            enabled: true,
            declared: false,
        })
    }

    /// Makes a planned connection.
    pub async fn create_connection(&self, keeper: Keeper<'_>, planned: &Connection) -> Result<()> {
        if planned.owner != keeper.owner() {
            return Err(Error::invalid("connection", "this is somebody else's connection"));
        }
        let event = self.by_keeper(keeper, "connection.created", planned.id);
        let event = event.with(json!({ "kind": planned.kind, "issuer": planned.endpoints.issuer }));
        self.repos.connections.create(planned, &event).await.map_err(|error| match Error::from(error) {
            Error::Taken(_) => Error::Taken("this name"),
            error => error,
        })
    }

    /// Changes a connection. Switched off, it ends the sessions and grants that were made through it.
    pub async fn change_connection(
        &self,
        keeper: Keeper<'_>,
        slug: &str,
        change: ConnectionChange,
    ) -> Result<Option<Connection>> {
        let Some(present) = self.connection(keeper, slug).await? else { return Ok(None) };
        check_client_id(&change.client_id)?;
        let client_secret = change.client_secret.or(present.client_secret);
        if client_secret.is_none() {
            return Err(Error::invalid("client_secret", "the stored secret cannot be read: enter it again"));
        }
        let (name, client_id, enabled) = (change.name, change.client_id, change.enabled);
        let action = match (present.enabled, enabled) {
            (true, false) => "connection.disabled",
            (false, true) => "connection.enabled",
            _ => "connection.updated",
        };
        let wanted = Connection { name, client_id, client_secret, enabled, ..present };
        self.repos.connections.update(&wanted, &self.by_keeper(keeper, action, wanted.id)).await?;
        Ok(Some(wanted))
    }

    /// Removes a connection with the identities known by it, the sessions and grants made through it and the
    /// memberships that rested on its word. `false` if there is none.
    pub async fn delete_connection(&self, keeper: Keeper<'_>, slug: &str) -> Result<bool> {
        let Some(present) = self.connection(keeper, slug).await? else { return Ok(false) };
        let event = self.by_keeper(keeper, "connection.deleted", present.id);
        Ok(self.repos.connections.delete(present.id, &event).await?)
    }

    fn by_keeper(&self, keeper: Keeper<'_>, action: &str, subject: ConnectionId) -> AuditEvent {
        let event = self.audit(keeper.actor(), action, subject);
        match keeper.tenant() {
            Some(tenant) => event.in_tenant(tenant),
            None => event,
        }
    }
}

fn check_client_id(client_id: &str) -> Result<()> {
    let usable = (1..=255).contains(&client_id.len()) && !client_id.contains(char::is_control);
    usable.then_some(()).ok_or_else(|| Error::invalid("client_id", "use the client id that the provider gave"))
}

/// Whether the same place says who people are.
pub(crate) fn same_provider(a: &Connection, b: &Connection) -> bool {
    let says = |connection: &Connection| {
        let Endpoints { issuer, api, userinfo, subject, .. } = connection.endpoints.clone();
        (connection.kind, issuer, api, userinfo, subject)
    };
    says(a) == says(b)
}

/// Refuses endpoints that no connection of a kind can have, or that it lacks.
pub(crate) fn check_endpoints(kind: ConnectionKind, at: &Endpoints) -> Result<()> {
    let own_places = at.authorize.is_some() || at.token.is_some();
    let pointers = [&at.userinfo, &at.subject, &at.name, &at.email, &at.email_verified];
    let profile = pointers.iter().any(|one| one.is_some());
    let missing = |field, there: bool| if there { Ok(()) } else { Err(Error::invalid(field, "is missing")) };
    match kind {
        ConnectionKind::Github if at.issuer.is_some() => {
            return Err(Error::invalid("issuer", "GitHub has none; use authorize_url, token_url and api_url"));
        }
        ConnectionKind::Google | ConnectionKind::Oidc | ConnectionKind::Entra if own_places || at.api.is_some() => {
            let reason = "the endpoints come from the issuer's discovery document; give issuer alone";
            return Err(Error::invalid("", reason));
        }
        ConnectionKind::Oidc | ConnectionKind::Entra => missing("issuer", at.issuer.is_some())?,
        ConnectionKind::Oauth => {
            missing("authorize_url", at.authorize.is_some())?;
            missing("token_url", at.token.is_some())?;
            missing("userinfo_url", at.userinfo.is_some())?;
            missing("subject_pointer", at.subject.is_some())?;
        }
        ConnectionKind::Github | ConnectionKind::Google => {}
    }
    if kind != ConnectionKind::Oauth && profile {
        return Err(Error::invalid("userinfo_url", "only connections of kind oauth have pointers and a userinfo_url"));
    }
    if kind != ConnectionKind::Entra && !at.directories.is_empty() {
        return Err(Error::invalid("directories", "only connections of kind entra have directories"));
    }
    if kind != ConnectionKind::Oidc && at.groups_claim.is_some() {
        return Err(Error::invalid("groups_claim", "only connections of kind oidc have a groups_claim"));
    }
    check_directories(kind, at)?;
    for pointer in pointers.into_iter().skip(1).flatten() {
        if !pointer.starts_with('/') {
            return Err(Error::invalid("subject_pointer", "use JSON pointers, which start with a slash: /data/id"));
        }
    }
    if at.scopes.iter().any(|scope| scope.is_empty() || !scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"')) {
        return Err(Error::invalid("scopes", "a scope has no spaces and no quotes"));
    }
    Ok(())
}

fn check_directories(kind: ConnectionKind, at: &Endpoints) -> Result<()> {
    if kind != ConnectionKind::Entra {
        return Ok(());
    }
    let id = |text: &String| text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if !at.directories.iter().all(id) {
        return Err(Error::invalid("directories", "a directory is a tenant id: 36 digits and dashes"));
    }
    let issuer = at.issuer.as_deref().unwrap_or_default();
    if issuer.contains("/consumers/") {
        return Err(Error::invalid("issuer", "use the issuer of a directory, or of common or organizations"));
    }
    let many = issuer.contains("/common/") || issuer.contains("/organizations/");
    if many && at.directories.is_empty() {
        return Err(Error::invalid("directories", "say whose people may sign in: the tenant ids of their directories"));
    }
    Ok(())
}
