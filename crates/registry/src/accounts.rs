use model::{Name, Role, Secret, TenantSlug, UserId};
use serde_json::json;
use storage::{
    StorageError,
    repo::{Actor, Connection, Identity, LocalAccount, Member, Tenant, TenantState, User, UserState},
};

use crate::{Error, Facts, Registry, Result, password};

/// What the first person enters.
#[derive(Clone, Debug)]
pub struct NewSetup {
    /// What pages call the person.
    pub name: Name,
    /// What the person signs in with.
    pub email: String,
    /// And the password, 10 to 256 characters.
    pub password: Secret,
    /// A tenant of their own, if wanted.
    pub tenant: Option<NewTenant>,
}

/// A tenant to be made.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name in URLs.
    pub slug: TenantSlug,
    /// What pages call it.
    pub name: Name,
}

/// What an identity provider says about a person who signed in. Only `subject` identifies.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The provider's stable name for the person.
    pub subject: String,
    /// Their name, if the provider gave a usable one.
    pub name: Option<String>,
    /// Their address, for display.
    pub email: Option<String>,
    /// Whether the provider says that it checked the address.
    pub email_verified: bool,
    /// What rules look at.
    pub facts: Facts,
}

impl Registry {
    /// A person.
    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.repos.users.user(id).await?)
    }

    /// Whether set-up is over: completed, or unnecessary because there are people.
    pub async fn setup_closed(&self) -> Result<bool> {
        Ok(self.repos.users.setup_closed().await?)
    }

    /// Makes the first person, an operator, and closes set-up for good; `None` when somebody was faster.
    /// The tenant is made right after it, with the person as its owner.
    pub async fn complete_setup(&self, setup: NewSetup) -> Result<Option<User>> {
        let email = local_address(&setup.email)?;
        password::check_length(&setup.password)?;
        if let Some(tenant) = &setup.tenant
            && self.repos.tenants.by_slug(&tenant.slug).await?.is_some()
        {
            return Err(Error::Taken("this tenant name"));
        }
        let hash = self.passwords.hash(&setup.password).await?;
        let user = User { operator: true, ..self.person(setup.name, Some(email.clone())) };
        let account = LocalAccount { user: user.id, email, password: hash };
        let event = self.audit(Actor::Anonymous, "setup.completed", user.id);
        if !self.repos.users.complete_setup(&user, &account, &event).await? {
            return Ok(None);
        }
        if let Some(tenant) = setup.tenant {
            self.create_tenant(Actor::User(user.id), tenant, &[(user.id, Role::Owner)]).await?;
        }
        Ok(Some(user))
    }

    /// Makes a tenant with its first members.
    pub(crate) async fn create_tenant(
        &self,
        actor: Actor,
        new: NewTenant,
        members: &[(UserId, Role)],
    ) -> Result<Tenant> {
        let tenant = Tenant {
            id: self.id(),
            slug: new.slug,
            name: new.name,
            state: TenantState::Active,
            created_at: self.clock.now(),
        };
        let members: Vec<_> =
            members.iter().map(|(user, role)| Member { tenant: tenant.id, user: *user, role: *role }).collect();
        let event = self
            .audit(actor, "tenant.created", tenant.id)
            .in_tenant(tenant.id)
            .with(json!({ "slug": tenant.slug.as_str(), "members": members.len() }));
        self.repos.tenants.create(&tenant, &members, &event).await?;
        Ok(tenant)
    }

    /// The person behind a local account, if the password is right and the person is not blocked. The
    /// work is the same whether or not there is such an account.
    pub async fn authenticate_local(&self, email: &str, password: &Secret) -> Result<Option<User>> {
        let account = match local_address(email) {
            Ok(email) => self.repos.users.local_account(&email).await?,
            Err(_) => None,
        };
        // A password that nobody can have is not hashed at its full length, but at the same cost.
        let usable = password.expose().chars().count() <= password::PASSWORD_MAX;
        let typed = if usable { password } else { &Secret::new(String::new()) };
        let right = self.passwords.matches(typed, account.as_ref().map(|account| &account.password)).await?;
        let Some(account) = account.filter(|_| right && usable) else {
            return Ok(None);
        };
        let user = self.repos.users.user(account.user).await?;
        Ok(user.filter(|user| user.state == UserState::Active))
    }

    /// The person behind an identity; a subject that was never seen is a new person in no tenant. Never
    /// by e-mail address: whoever controls an address at one provider is not who uses it at another.
    pub async fn identify(&self, connection: &Connection, claims: Claims) -> Result<User> {
        if claims.subject.is_empty() || claims.subject.len() > 255 || claims.subject.contains(char::is_control) {
            return Err(Error::invalid("subject", "the provider gave no usable subject"));
        }
        if let Some(user) = self.known(connection, &claims).await? {
            return Ok(user);
        }
        match self.meet(connection, &claims).await {
            // Two first sign-ins at once: the other one made the person.
            Err(Error::Taken(_)) => self.known(connection, &claims).await?.ok_or(Error::Blocked),
            met => met,
        }
    }

    async fn known(&self, connection: &Connection, claims: &Claims) -> Result<Option<User>> {
        let Some(identity) = self.repos.users.identity(connection.id, &claims.subject).await? else {
            return Ok(None);
        };
        let user = self.repos.users.user(identity.user).await?;
        let user = user.ok_or_else(|| StorageError::damaged("identity", "its person is gone"))?;
        if user.state != UserState::Active {
            return Err(Error::Blocked);
        }
        // What the provider said once of an address need not be so any more.
        let now = Identity { email: address(claims), email_verified: claims.email_verified, ..identity.clone() };
        if now != identity {
            self.repos.users.refresh_identity(&now).await?;
        }
        Ok(Some(user))
    }

    async fn meet(&self, connection: &Connection, claims: &Claims) -> Result<User> {
        let email = address(claims);
        let name = claims.name.as_deref().and_then(|name| name.parse().ok());
        let name = name.unwrap_or_else(|| "Unnamed".parse().expect("a legal name"));
        let user = self.person(name, email.clone());
        let identity = Identity {
            connection: connection.id,
            subject: claims.subject.clone(),
            user: user.id,
            email,
            email_verified: claims.email_verified,
        };
        let event = self.audit(Actor::System, "user.created", user.id).with(json!({ "connection": connection.id }));
        self.repos.users.create(&user, None, &[identity], &event).await?;
        Ok(user)
    }

    /// A new, ordinary, active person.
    pub(crate) fn person(&self, name: Name, email: Option<String>) -> User {
        User {
            id: self.id(),
            handle: None,
            name,
            email,
            operator: false,
            state: UserState::Active,
            created_at: self.clock.now(),
            session_epoch: 0,
        }
    }
}

/// The address that a provider gave, if it can be one.
fn address(claims: &Claims) -> Option<String> {
    let usable = |email: &&String| email.len() <= 254 && !email.contains(char::is_control);
    claims.email.as_ref().filter(usable).cloned()
}

/// An address as local accounts have it: lower case, one `@` with something on both sides, no spaces.
pub(crate) fn local_address(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    let parts = email.split_once('@');
    let shaped = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let clean = !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if shaped && clean && email.len() <= 254 {
        Ok(email)
    } else {
        Err(Error::invalid("email", "use an address like alice@example.com"))
    }
}
