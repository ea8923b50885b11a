use std::fmt;

use model::{Role, Secret, Slug, TenantId, TenantSlug, UpstreamSource, UserId};
use storage::repo::{
    AccessRule, Connection, Identity, LocalAccount, Member, Server, ServerRevision, ServerState, Tenant, User,
    UserState,
};

/// What has to be done so that things are as a file declares them, in order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What was left alone although the file differs, and why.
    pub notes: Vec<String>,
}

/// One change. Each is one transaction, and planned again if it did not happen.
#[derive(Debug)]
pub enum Step {
    /// Adds a connection.
    CreateConnection(Connection),
    /// Changes a connection.
    UpdateConnection(Connection),
    /// Adds a tenant.
    CreateTenant(Tenant),
    /// Changes what pages call a tenant.
    UpdateTenant(Tenant),
    /// Adds a person; the password is hashed when the step is done.
    CreateUser {
        /// Who.
        user: User,
        /// What they sign in with here.
        password: Option<Secret>,
        /// What they sign in with elsewhere.
        identities: Vec<Identity>,
    },
    /// Changes a person.
    UpdateUser(User),
    /// Sets a person's address and password.
    SetPassword {
        /// Who.
        user: UserId,
        /// What files call them.
        handle: Slug<2>,
        /// What they sign in with.
        email: String,
        /// And the password.
        password: Secret,
    },
    /// Changes the address of an account whose password stays.
    SetAddress {
        /// What files call the person.
        handle: Slug<2>,
        /// The account, with the new address.
        account: LocalAccount,
    },
    /// Links an identity.
    AddIdentity {
        /// What files call the person.
        handle: Slug<2>,
        /// The identity.
        identity: Identity,
    },
    /// Adds a member or changes their role.
    PutMember {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// What files call the person.
        handle: Slug<2>,
        /// The membership.
        member: Member,
        /// The role until now.
        was: Option<Role>,
    },
    /// Adds a rule.
    CreateRule {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The connection's callback segment.
        connection: String,
        /// The rule.
        rule: AccessRule,
    },
    /// Changes what a rule makes of people.
    ChangeRule {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The connection's callback segment.
        connection: String,
        /// The rule, with its new role.
        rule: AccessRule,
    },
    /// Removes a rule and the memberships that rest on it.
    DeleteRule {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The connection's callback segment.
        connection: String,
        /// The rule.
        rule: AccessRule,
    },
    /// Adds a server that is live at once.
    CreateServer {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The server.
        server: Server,
        /// Its first revision.
        revision: ServerRevision,
    },
    /// Gives a server another upstream, live at once.
    ReviseServer {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The server, with the new revision live.
        server: Server,
        /// The new revision.
        revision: ServerRevision,
    },
    /// Changes what pages call a server, or makes a draft live.
    UpdateServer {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The server.
        server: Server,
    },
    /// Removes a member.
    RemoveMember {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The tenant.
        id: TenantId,
        /// What files call the person.
        handle: Slug<2>,
        /// Who.
        user: UserId,
    },
    /// Removes a server.
    DeleteServer {
        /// The tenant's slug.
        tenant: TenantSlug,
        /// The server.
        server: Server,
    },
    /// Removes a connection and the identities that came through it.
    DeleteConnection(Connection),
    /// Removes a tenant and all that it owns.
    DeleteTenant(Tenant),
    /// Removes a person.
    DeleteUser(User),
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            writeln!(f, "Nothing to do: everything is as declared.")?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "! {note}"))
    }
}

/// One line: `+` adds, `~` changes, `-` removes. Never a secret.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateConnection(connection) => write!(f, "+ connection {}", connection.callback),
            Self::UpdateConnection(connection) => write!(f, "~ connection {}", connection.callback),
            Self::CreateTenant(tenant) => write!(f, "+ tenant {}", tenant.slug),
            Self::UpdateTenant(tenant) => write!(f, "~ tenant {}: name {}", tenant.slug, tenant.name),
            Self::CreateUser { user, .. } => write!(f, "+ user {}{}", handle(user), operator(user)),
            Self::UpdateUser(user) => {
                let operator = if user.operator { "operator" } else { "not an operator" };
                let blocked = if user.state == UserState::Blocked { ", blocked" } else { "" };
                write!(f, "~ user {}: {} ({operator}{blocked})", handle(user), user.name)
            }
            Self::SetPassword { handle, .. } => write!(f, "~ user {handle}: password"),
            Self::SetAddress { handle, account } => write!(f, "~ user {handle}: address {}", account.email),
            Self::AddIdentity { handle, identity } => write!(f, "~ user {handle}: identity {}", identity.subject),
            Self::PutMember { tenant, handle, member, was: None } => {
                write!(f, "+ tenant {tenant}: {handle} as {}", member.role)
            }
            Self::PutMember { tenant, handle, member, was: Some(was) } => {
                write!(f, "~ tenant {tenant}: {handle} from {was} to {}", member.role)
            }
            Self::CreateRule { tenant, connection, rule } => {
                write!(f, "+ tenant {tenant}: rule {}", of_rule(connection, rule))
            }
            Self::ChangeRule { tenant, connection, rule } => {
                write!(f, "~ tenant {tenant}: rule {}", of_rule(connection, rule))
            }
            Self::DeleteRule { tenant, connection, rule } => {
                write!(f, "- tenant {tenant}: rule {}", of_rule(connection, rule))
            }
            Self::CreateServer { tenant, server, revision } => {
                write!(f, "+ server {tenant}/{}: {}", server.slug, source(&revision.source))
            }
            Self::ReviseServer { tenant, server, revision } => {
                write!(f, "~ server {tenant}/{}: {}", server.slug, source(&revision.source))
            }
            Self::UpdateServer { tenant, server } => {
                let state = if server.state == ServerState::Live { ", live" } else { "" };
                write!(f, "~ server {tenant}/{}: {}{state}", server.slug, server.name)
            }
            Self::RemoveMember { tenant, handle, .. } => write!(f, "- tenant {tenant}: {handle}"),
            Self::DeleteServer { tenant, server } => write!(f, "- server {tenant}/{}", server.slug),
            Self::DeleteConnection(connection) => write!(f, "- connection {}", connection.callback),
            Self::DeleteTenant(tenant) => write!(f, "- tenant {} and all that it owns", tenant.slug),
            Self::DeleteUser(user) => write!(f, "- user {}", handle(user)),
        }
    }
}

fn handle(user: &User) -> &str {
    user.handle.as_ref().map_or("(unnamed)", Slug::as_str)
}

fn of_rule(connection: &str, rule: &AccessRule) -> String {
    format!("{} {} of {connection} as {}", rule.kind.as_str(), rule.value, rule.role)
}

fn operator(user: &User) -> &'static str {
    if user.operator { " (operator)" } else { "" }
}

fn source(source: &UpstreamSource) -> String {
    match source {
        UpstreamSource::Http { url } => url.to_string(),
        UpstreamSource::Builtin { name } => format!("builtin {name}"),
    }
}
