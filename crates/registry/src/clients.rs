//! What a tenant decides about the clients that ask for its servers.

use serde_json::json;
use storage::repo::{Actor, AuditEvent, ClientPolicies, ClientPolicy, ClientUse};

use crate::{Admin, Error, Registry, Result};

/// The longest id of a client: the address of a document.
const MAX_ID: usize = 1024;
/// The longest list of a policy.
const MAX_ENTRIES: usize = 100;

impl Registry {
    /// The tenant's policies for clients that nobody entered.
    pub async fn client_policies(&self, admin: Admin<'_>) -> Result<ClientPolicies> {
        Ok(self.repos.clients.policies(admin.member().tenant().id).await?)
    }

    /// Sets them, for whatever is allowed from now on.
    pub async fn set_client_policies(&self, admin: Admin<'_>, policies: ClientPolicies) -> Result<()> {
        let policies = checked_policies(policies)?;
        let event = self.of_admin(admin, "clients.policies-changed", "clients").with(json!(policies));
        Ok(self.repos.clients.set_policies(admin.member().tenant().id, &policies, &event).await?)
    }

    /// The clients that have grants in the tenant or are blocked there, in order of id, after `after`.
    pub async fn client_uses(&self, admin: Admin<'_>, after: Option<&str>, limit: u32) -> Result<Vec<ClientUse>> {
        Ok(self.repos.clients.used_in(admin.member().tenant().id, self.clock.now(), after, limit).await?)
    }

    /// Blocks a client in the tenant, which ends all its grants there, or lets it be used again. `false`: it was so
    /// already.
    pub async fn block_client(&self, admin: Admin<'_>, client_id: &str, blocked: bool) -> Result<bool> {
        let tenant = admin.member().tenant().id;
        if !blocked {
            let event = self.of_admin(admin, "client.unblocked", client_id);
            return Ok(self.repos.clients.unblock_in(tenant, client_id, &event).await?);
        }
        // Also one that has not come yet.
        if client_id.is_empty() || client_id.len() > MAX_ID || !client_id.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
            return Err(Error::invalid("client_id", "this is not the id of a client"));
        }
        let event = self.of_admin(admin, "client.blocked", client_id);
        Ok(self.repos.clients.block_in(tenant, client_id, &event).await?)
    }

    fn of_admin(&self, admin: Admin<'_>, action: &str, subject: &str) -> AuditEvent {
        let actor = Actor::User(admin.member().user());
        let event = AuditEvent::new(&*self.clock, &*self.entropy, actor, action, subject);
        event.in_tenant(admin.member().tenant().id)
    }
}

/// Policies whose lists are in one form; which entries can never match anything is told.
pub(crate) fn checked_policies(policies: ClientPolicies) -> Result<ClientPolicies> {
    let checked = |policy: ClientPolicy, field: &'static str| {
        let mut allow: Vec<String> = policy.allow.iter().map(|entry| entry.trim().to_ascii_lowercase()).collect();
        allow.retain(|entry| !entry.is_empty());
        allow.sort();
        allow.dedup();
        if allow.len() > MAX_ENTRIES {
            return Err(Error::invalid(field, "there may be 100 entries"));
        }
        match allow.iter().find(|entry| !is_target(entry)) {
            Some(entry) => {
                Err(Error::invalid(field, format!("{entry:?} is no host like claude.ai, localhost or cursor:")))
            }
            None => Ok(ClientPolicy { allow, ..policy }),
        }
    };
    Ok(ClientPolicies {
        dynamic: checked(policies.dynamic, "dcr_allow")?,
        documents: checked(policies.documents, "cimd_allow")?,
    })
}

/// Whether an entry is the name of a host, or a scheme with its colon.
fn is_target(entry: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let name = entry.strip_suffix(':').unwrap_or(entry);
    (1..=253).contains(&name.len()) && name.bytes().all(legal) && !name.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use storage::repo::PolicyMode;

    use super::*;

    #[test]
    fn lists_have_one_form_and_entries_that_can_match() {
        let with = |allow: &[&str]| ClientPolicies {
            documents: ClientPolicy {
                mode: PolicyMode::Allowlist,
                allow: allow.iter().map(|entry| (*entry).to_owned()).collect(),
            },
            ..ClientPolicies::default()
        };
        let good = checked_policies(with(&[" Claude.ai ", "claude.ai", "", "cursor:", "localhost"])).unwrap();
        assert_eq!(good.documents.allow, ["claude.ai", "cursor:", "localhost"]);
        for bad in ["https://claude.ai", "claude.ai/x", "*.claude.ai", "cl\u{430}ude.ai", "a b", ":", ".ai"] {
            assert!(checked_policies(with(&[bad])).is_err(), "{bad}");
        }
    }
}
