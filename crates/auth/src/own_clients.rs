//! Clients that a tenant enters itself: for applications that cannot register, or where nothing else is let in.

use model::{ScopeSet, Secret, random_token};
use protocol::oauth::{RedirectKind, RedirectUri};
use registry::Admin;
use serde_json::json;
use storage::{
    Result,
    repo::{Actor, ApplicationType, AuditEvent, AuthMethod, Client, ClientKeys, ClientMetadata, ClientOrigin},
};

use crate::{
    Auth,
    client::{self, hash},
};

/// The most redirect URIs of one client.
const MAX_REDIRECTS: usize = 10;
/// The longest name, in characters.
const MAX_NAME: usize = 128;

/// A client to be entered.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// What pages call it.
    pub name: String,
    /// Where answers may go.
    pub redirect_uris: Vec<String>,
    /// Whether it keeps a secret.
    pub confidential: bool,
}

/// What is wrong with a [`NewClient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClient {
    /// The name.
    #[error("use 1 to 128 visible characters")]
    Name,
    /// A redirect URI, or how many there are.
    #[error("use 1 to 10 redirect URIs: https, http to this computer, or a scheme that is allowed here")]
    Redirects,
    /// A secret would be on somebody's computer.
    #[error("a client that keeps a secret has https redirect URIs only")]
    Secret,
}

impl Auth {
    /// The clients that a tenant entered, in order of id, after `after`.
    pub async fn own_clients(&self, admin: Admin<'_>, after: Option<&str>, limit: u32) -> Result<Vec<Client>> {
        self.repos.clients.of_tenant(admin.member().tenant().id, after, limit).await
    }

    /// Enters a client. Its secret, if it keeps one, is in this answer and nowhere else.
    pub async fn enter_client(
        &self,
        admin: Admin<'_>,
        new: NewClient,
    ) -> Result<std::result::Result<(Client, Option<Secret>), InvalidClient>> {
        let kinds = match self.check_new(&new) {
            Ok(kinds) => kinds,
            Err(fault) => return Ok(Err(fault)),
        };
        let native = kinds.iter().any(|kind| *kind != RedirectKind::Https);
        let secret = new.confidential.then(|| random_token(&*self.entropy, "cs_"));
        let client = Client {
            id: self.id(),
            client_id: random_token(&*self.entropy, "c_"),
            origin: ClientOrigin::Registered,
            tenant: Some(admin.member().tenant().id),
            name: Some(new.name.trim().to_owned()),
            uri: None,
            redirect_uris: new.redirect_uris,
            auth_method: if new.confidential { AuthMethod::ClientSecretBasic } else { AuthMethod::None },
            secret_hash: secret.as_deref().map(hash),
            scopes: ScopeSet::supported(),
            may_refresh: true,
            application_type: if native { ApplicationType::Native } else { ApplicationType::Web },
            keys: ClientKeys::None,
            metadata: ClientMetadata::default(),
            registration_hash: None,
            blocked_at: None,
            created_at: self.clock.now(),
            last_used_at: None,
            expires_at: None,
        };
        let event = self.by_admin(admin, "client.entered", &client.client_id);
        let event = event.with(json!({ "name": client.name, "redirect_uris": client.redirect_uris }));
        self.repos.clients.create(&client, &event).await?;
        Ok(Ok((client, secret.map(Secret::new))))
    }

    fn check_new(&self, new: &NewClient) -> std::result::Result<Vec<RedirectKind>, InvalidClient> {
        let name = new.name.trim();
        if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(model::is_deceptive) {
            return Err(InvalidClient::Name);
        }
        if !(1..=MAX_REDIRECTS).contains(&new.redirect_uris.len()) {
            return Err(InvalidClient::Redirects);
        }
        let kind = |uri: &String| {
            let fine = RedirectUri::register(uri, &self.config.private_redirects).ok().map(|uri| uri.kind);
            fine.filter(|_| !client::is_ours(self, uri)).ok_or(InvalidClient::Redirects)
        };
        let kinds: Vec<_> = new.redirect_uris.iter().map(kind).collect::<std::result::Result<_, _>>()?;
        if new.confidential && kinds.iter().any(|kind| *kind != RedirectKind::Https) {
            return Err(InvalidClient::Secret);
        }
        Ok(kinds)
    }

    /// Gives a client of the tenant's own another secret; the old one ends. `None`: there is no such client, or it
    /// keeps none.
    pub async fn renew_client_secret(&self, admin: Admin<'_>, client_id: &str) -> Result<Option<Secret>> {
        let Some(client) = self.own_client(admin, client_id).await? else { return Ok(None) };
        if client.secret_hash.is_none() {
            return Ok(None);
        }
        let secret = random_token(&*self.entropy, "cs_");
        let renewed = Client { secret_hash: Some(hash(&secret)), ..client };
        let event = self.by_admin(admin, "client.secret-renewed", client_id);
        let done = self.repos.clients.replace(&renewed, None, &event).await?;
        Ok(done.then(|| Secret::new(secret)))
    }

    /// Removes a client of the tenant's own, and ends its grants. `false`: there is no such client.
    pub async fn delete_client(&self, admin: Admin<'_>, client_id: &str) -> Result<bool> {
        if self.own_client(admin, client_id).await?.is_none() {
            return Ok(false);
        }
        let event = self.by_admin(admin, "client.deleted", client_id);
        let deleted = self.repos.clients.delete(client_id, &event).await?;
        self.sync().await;
        Ok(deleted)
    }

    async fn own_client(&self, admin: Admin<'_>, client_id: &str) -> Result<Option<Client>> {
        let found = self.repos.clients.client(client_id, self.clock.now()).await?;
        Ok(found.filter(|client| client.tenant == Some(admin.member().tenant().id)))
    }

    fn by_admin(&self, admin: Admin<'_>, action: &str, client_id: &str) -> AuditEvent {
        self.audit(Actor::User(admin.member().user()), action, client_id).in_tenant(admin.member().tenant().id)
    }
}
