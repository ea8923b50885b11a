//! Who becomes a member by signing in.

use storage::{
    pages,
    repo::{AccessRule, ConnectionOwner, Tenant},
};

use super::Planner;
use crate::{
    Error, NewRule, Result,
    apply::{DeclaredTenant, Step},
};

impl Planner<'_> {
    /// Plans the declared rules. An operator's file may make rules about the platform's connections, which a
    /// tenant by itself may not.
    pub(super) async fn rules(&mut self, declared: &DeclaredTenant, tenant: &Tenant, new: bool) -> Result<()> {
        let present = if new { Vec::new() } else { self.all_rules(tenant).await? };
        for wanted in &declared.rules {
            let Some(connection) = self.find_connection(&wanted.connection).await? else {
                self.fault(tenant, &format!("there is no connection \"{}\"", wanted.connection));
                continue;
            };
            if ![ConnectionOwner::Platform, ConnectionOwner::Tenant(tenant.id)].contains(&connection.owner) {
                self.fault(tenant, &format!("connection \"{}\" is another tenant's", wanted.connection));
                continue;
            }
            let rule = match NewRule::read(connection.kind, wanted.kind, &wanted.value, wanted.role) {
                Ok(rule) => rule,
                Err(Error::Invalid { reason, .. }) => {
                    self.fault(tenant, &format!("rule about \"{}\": {reason}", wanted.connection));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let same =
                |one: &&AccessRule| (one.connection, one.kind, &one.value) == (connection.id, rule.kind, &rule.value);
            let (slug, callback) = (tenant.slug.clone(), connection.callback.clone());
            match present.iter().find(same) {
                None => {
                    let rule = AccessRule {
                        id: self.registry.id(),
                        tenant: tenant.id,
                        connection: connection.id,
                        kind: rule.kind,
                        value: rule.value,
                        role: rule.role,
                        created_at: self.registry.clock.now(),
                        declared: true,
                    };
                    self.plan.steps.push(Step::CreateRule { tenant: slug, connection: callback, rule });
                }
                Some(present) if present.role != rule.role => {
                    let rule = AccessRule { role: rule.role, ..present.clone() };
                    self.plan.steps.push(Step::ChangeRule { tenant: slug, connection: callback, rule });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Plans the deletion of the rules that the file does not declare. Those about a connection that goes are
    /// gone with it.
    pub(super) async fn prune_rules(&mut self, declared: &DeclaredTenant, tenant: &Tenant) -> Result<()> {
        for rule in self.all_rules(tenant).await? {
            let Some(connection) = self.registry.repos.connections.connection(rule.connection).await? else { continue };
            let is_declared = declared.rules.iter().any(|wanted| {
                let read = NewRule::read(connection.kind, wanted.kind, &wanted.value, wanted.role);
                wanted.connection == connection.callback
                    && read.is_ok_and(|read| (read.kind, &read.value) == (rule.kind, &rule.value))
            });
            // What somebody made on the pages is not a declaration that was taken back.
            if rule.declared && !is_declared {
                let (tenant, connection) = (tenant.slug.clone(), connection.callback);
                self.plan.steps.push(Step::DeleteRule { tenant, connection, rule });
            }
        }
        Ok(())
    }

    async fn all_rules(&self, tenant: &Tenant) -> Result<Vec<AccessRule>> {
        let rules = &self.registry.repos.admissions;
        Ok(pages(|after, limit| rules.rules(tenant.id, after, limit), |rule| rule.id).await?)
    }

    fn fault(&mut self, tenant: &Tenant, what: &str) {
        self.faults.push(format!("tenant {}: {what}", tenant.slug));
    }
}
