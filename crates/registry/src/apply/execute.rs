use serde_json::json;
use storage::repo::{AccessRule, Actor, AuditEvent, LocalAccount, Server};

use super::{Plan, Step};
use crate::{Error, Registry, Result};

/// A step could not be done. What was done before it stays; applying again goes on from there.
#[derive(Debug, thiserror::Error)]
#[error("after {done} steps, this one failed: {step}")]
pub struct ExecuteError {
    /// How many steps were done.
    pub done: usize,
    /// The step that failed, as the plan prints it.
    pub step: String,
    /// Why.
    #[source]
    pub source: Error,
}

impl Plan {
    /// Does the steps in order. Returns how many there were.
    pub async fn execute(self, registry: &Registry) -> std::result::Result<usize, ExecuteError> {
        let mut done = 0;
        for step in self.steps {
            let line = step.to_string();
            registry.perform(step).await.map_err(|source| ExecuteError { done, step: line, source })?;
            done += 1;
        }
        Ok(done)
    }
}

impl Registry {
    async fn perform(&self, step: Step) -> Result<()> {
        match step {
            Step::CreateServer { .. } | Step::ReviseServer { .. } | Step::UpdateServer { .. } => {
                self.perform_server(step).await
            }
            Step::CreateRule { .. } | Step::ChangeRule { .. } | Step::DeleteRule { .. } => {
                self.perform_rule(step).await
            }
            Step::RemoveMember { .. }
            | Step::DeleteServer { .. }
            | Step::DeleteConnection(_)
            | Step::DeleteTenant(_)
            | Step::DeleteUser(_) => self.perform_delete(step).await,
            step => self.perform_people(step).await,
        }
    }

    async fn perform_people(&self, step: Step) -> Result<()> {
        let (users, tenants) = (&self.repos.users, &self.repos.tenants);
        match step {
            Step::CreateConnection(connection) => {
                let event = self.applied("connection.created", connection.id);
                self.repos.connections.create(&connection, &event).await?;
            }
            Step::UpdateConnection(connection) => {
                let event = self.applied("connection.updated", connection.id);
                self.repos.connections.update(&connection, &event).await?;
            }
            Step::CreateTenant(tenant) => {
                let event = self.applied("tenant.created", tenant.id).in_tenant(tenant.id);
                tenants.create(&tenant, &[], &event).await?;
            }
            Step::UpdateTenant(tenant) => {
                let event = self.applied("tenant.updated", tenant.id).in_tenant(tenant.id);
                tenants.update(&tenant, &event).await?;
            }
            Step::CreateUser { user, password, identities } => {
                let account = match (password, &user.email) {
                    (Some(password), Some(email)) => {
                        let password = self.passwords.hash(&password).await?;
                        Some(LocalAccount { user: user.id, email: email.clone(), password })
                    }
                    _ => None,
                };
                let event = self.applied("user.created", user.id).with(json!({ "operator": user.operator }));
                users.create(&user, account.as_ref(), &identities, &event).await?;
            }
            Step::UpdateUser(user) => {
                let event = self.applied("user.updated", user.id).with(json!({ "operator": user.operator }));
                users.update(&user, &event).await?;
            }
            Step::SetPassword { user, email, password, .. } => {
                let account = LocalAccount { user, email, password: self.passwords.hash(&password).await? };
                users.set_local_account(&account, &self.applied("user.password-set", user)).await?;
            }
            Step::SetAddress { account, .. } => {
                users.set_local_account(&account, &self.applied("user.address-set", account.user)).await?;
            }
            Step::AddIdentity { identity, .. } => {
                let event = self.applied("identity.added", identity.user);
                users.add_identity(&identity, &event).await?;
            }
            Step::PutMember { member, .. } => {
                let event = self.applied("member.put", member.user).in_tenant(member.tenant);
                let event = event.with(json!({ "role": member.role }));
                tenants.put_member(&member, &event).await?;
            }
            _ => unreachable!("`perform` sends servers and deletions elsewhere"),
        }
        Ok(())
    }

    async fn perform_rule(&self, step: Step) -> Result<()> {
        let rules = &self.repos.admissions;
        let event = |action, rule: &AccessRule| {
            self.applied(action, rule.id).in_tenant(rule.tenant).with(crate::rules::about(rule))
        };
        match step {
            Step::CreateRule { rule, .. } => rules.create_rule(&rule, &event("rule.created", &rule)).await?,
            Step::ChangeRule { rule, .. } => {
                rules.set_rule_role(rule.tenant, rule.id, rule.role, &event("rule.changed", &rule)).await?;
            }
            Step::DeleteRule { rule, .. } => {
                rules.delete_rule(rule.tenant, rule.id, &event("rule.removed", &rule)).await?;
            }
            _ => unreachable!("`perform` sends rules only"),
        }
        Ok(())
    }

    async fn perform_server(&self, step: Step) -> Result<()> {
        let servers = &self.repos.servers;
        match step {
            Step::CreateServer { server, revision, .. } => {
                servers.create(&server, &revision, &self.applied_to("server.declared", &server)).await?;
            }
            Step::ReviseServer { server, revision, .. } => {
                servers.add_revision(&revision, &self.applied_to("server.revised", &server)).await?;
                servers.update(&server, &self.applied_to("server.went-live", &server)).await?;
            }
            Step::UpdateServer { server, .. } => {
                servers.update(&server, &self.applied_to("server.updated", &server)).await?;
            }
            _ => unreachable!("`perform` sends servers only"),
        }
        Ok(())
    }

    async fn perform_delete(&self, step: Step) -> Result<()> {
        match step {
            Step::RemoveMember { id, user, .. } => {
                let event = self.applied("member.removed", user).in_tenant(id);
                self.repos.tenants.remove_member(id, user, &event).await?;
            }
            Step::DeleteServer { server, .. } => {
                let event = self.applied_to("server.deleted", &server);
                self.repos.servers.delete(server.tenant, server.id, &event).await?;
            }
            Step::DeleteConnection(connection) => {
                let event = self.applied("connection.deleted", connection.id);
                self.repos.connections.delete(connection.id, &event).await?;
            }
            Step::DeleteTenant(tenant) => {
                let event = self.applied("tenant.deleted", tenant.id);
                self.repos.tenants.delete(tenant.id, &event).await?;
            }
            Step::DeleteUser(user) => {
                self.repos.users.delete(user.id, &self.applied("user.deleted", user.id)).await?;
            }
            _ => unreachable!("`perform` sends deletions only"),
        }
        Ok(())
    }

    fn applied(&self, action: &str, subject: impl ToString) -> AuditEvent {
        self.audit(Actor::Apply, action, subject)
    }

    fn applied_to(&self, action: &str, server: &Server) -> AuditEvent {
        self.applied(action, server.id).in_tenant(server.tenant).with(json!({ "slug": server.slug.as_str() }))
    }
}
