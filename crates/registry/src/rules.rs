//! Who becomes a member of a tenant by signing in.
//!
//! Invariants:
//! - A rule names the connection whose word counts. In the console a tenant makes rules about its own connections
//!   only: with one about the platform's it could make members, and see the names, of whoever signs in there.
//! - Rules are judged at every sign-in. A membership that rests on rules about that connection, and on nobody's
//!   decision, ends when none of them holds any more.
//! - No rule makes an owner.

use model::{ConnectionId, Role, RuleId};
use serde_json::json;
use storage::{
    pages,
    repo::{AccessRule, Actor, Admission, Connection, ConnectionKind, ConnectionOwner, Member, RuleKind, User},
};

use crate::{Admin, Error, Facts, Registry, Result, Wanted};

/// How many rules a tenant may have: each is looked at when somebody signs in.
pub(crate) const MOST_RULES: usize = 100;

/// A rule to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// What is looked at.
    pub kind: RuleKind,
    /// What has to be found there.
    pub value: String,
    /// As what.
    pub role: Role,
}

impl NewRule {
    /// Reads what somebody wrote, for a connection of this kind.
    pub fn read(connection: ConnectionKind, kind: RuleKind, value: &str, role: Role) -> Result<Self> {
        use ConnectionKind::{Entra, Github, Google, Oauth, Oidc};
        let fits = match (kind, connection) {
            (RuleKind::Domain, _) => true,
            (RuleKind::Organisation | RuleKind::Team, kind) => kind == Github,
            (RuleKind::Group, kind) => matches!(kind, Oidc | Entra),
        };
        if !fits {
            let reason = match connection {
                Github => "GitHub has verified domains, organisations and teams",
                Google | Oauth => "this connection has verified domains only",
                Oidc | Entra => "this connection has verified domains and groups",
            };
            return Err(Error::invalid("kind", reason));
        }
        if role == Role::Owner {
            return Err(Error::invalid("role", "no rule makes an owner: owners are made by owners"));
        }
        Ok(Self { kind, value: read_value(kind, value.trim())?, role })
    }
}

fn read_value(kind: RuleKind, text: &str) -> Result<String> {
    let (value, reason) = match kind {
        RuleKind::Domain => (domain(text), "use a domain like example.com"),
        RuleKind::Organisation => (organisation(text), "use the name of an organisation, or id: and its number"),
        RuleKind::Team => {
            let team = text.split_once('/').and_then(|(of, team)| {
                let slug = login(team, 100)?;
                Some(format!("{}/{slug}", organisation(of)?))
            });
            (team, "use organisation/team, as in the team's address")
        }
        RuleKind::Group => {
            let usable = (1..=255).contains(&text.len()) && !text.contains(char::is_control);
            (usable.then(|| text.to_owned()), "use the group as the provider writes it, 255 bytes at most")
        }
    };
    value.ok_or_else(|| Error::invalid("value", reason))
}

fn domain(text: &str) -> Option<String> {
    let text = text.strip_prefix('@').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= 253 && text.contains('.') && text.split('.').all(label)).then_some(text)
}

fn organisation(text: &str) -> Option<String> {
    match text.strip_prefix("id:") {
        Some(number) => number.parse::<u64>().ok().map(|number| format!("id:{number}")),
        None => login(text, 39),
    }
}

fn login(text: &str, most: usize) -> Option<String> {
    let usable = (1..=most).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    usable.then(|| text.to_ascii_lowercase())
}

impl Registry {
    /// The rules of an admin's tenant.
    pub async fn rules(&self, admin: Admin<'_>) -> Result<Vec<AccessRule>> {
        let (rules, tenant) = (&self.repos.admissions, admin.member().tenant().id);
        Ok(pages(|after, limit| rules.rules(tenant, after, limit), |rule| rule.id).await?)
    }

    /// Adds a rule about one of the tenant's own connections.
    pub async fn add_rule(&self, admin: Admin<'_>, connection: &Connection, new: NewRule) -> Result<()> {
        let tenant = admin.member().tenant().id;
        if connection.owner != ConnectionOwner::Tenant(tenant) {
            return Err(Error::invalid("connection", "a tenant makes rules about its own connections"));
        }
        if new.role == Role::Admin && admin.member().role() != Role::Owner {
            return Err(Error::invalid("role", "only an owner makes rules that make admins"));
        }
        if self.rules(admin).await?.len() >= MOST_RULES {
            return Err(Error::invalid("value", "a tenant has 100 rules at most"));
        }
        let rule = AccessRule {
            id: self.id(),
            tenant,
            connection: connection.id,
            kind: new.kind,
            value: new.value,
            role: new.role,
            created_at: self.clock.now(),
            declared: false,
        };
        let event = self.audit(Actor::User(admin.member().user()), "rule.created", rule.id).in_tenant(tenant);
        self.repos.admissions.create_rule(&rule, &event.with(about(&rule))).await?;
        Ok(())
    }

    /// Takes a rule away, with the memberships that rest on it. `false` if there is none.
    pub async fn remove_rule(&self, admin: Admin<'_>, rule: RuleId) -> Result<bool> {
        let tenant = admin.member().tenant().id;
        let event = self.audit(Actor::User(admin.member().user()), "rule.removed", rule).in_tenant(tenant);
        Ok(self.repos.admissions.delete_rule(tenant, rule, &event).await?)
    }

    /// What a sign-in through a connection has to ask for.
    pub async fn wanted(&self, connection: ConnectionId) -> Result<Wanted> {
        let mut wanted = Wanted::default();
        for rule in self.rules_about(connection).await? {
            match rule.kind {
                RuleKind::Domain => {}
                RuleKind::Organisation | RuleKind::Team => wanted.organisations = true,
                RuleKind::Group => wanted.groups = true,
            }
        }
        Ok(wanted)
    }

    async fn rules_about(&self, connection: ConnectionId) -> Result<Vec<AccessRule>> {
        let rules = &self.repos.admissions;
        Ok(pages(|after, limit| rules.rules_of(connection, after, limit), |rule| rule.id).await?)
    }

    /// Judges the rules about a connection for somebody who has just signed in through it: gives and takes the
    /// memberships that rest on them. Whether anything changed.
    pub async fn judge(&self, user: &User, connection: &Connection, facts: &Facts) -> Result<bool> {
        let rules = self.rules_about(connection.id).await?;
        let standing = self.repos.admissions.admissions(user.id, connection.id).await?;
        let mut earned: Vec<&AccessRule> = rules.iter().filter(|rule| facts.holds(rule.kind, &rule.value)).collect();
        // Of several rules of a tenant the one that gives most; of equal ones the oldest.
        earned.sort_by_key(|rule| (rule.tenant, std::cmp::Reverse(rule.role), rule.id));
        earned.dedup_by_key(|rule| rule.tenant);
        let mut changed = false;
        for old in &standing {
            if !earned.iter().any(|rule| rule.tenant == old.member.tenant) {
                let event = self.audit(Actor::System, "member.dismissed", user.id).in_tenant(old.member.tenant);
                let event = event.with(json!({ "rule": old.rule, "connection": connection.id }));
                changed |= self.repos.admissions.dismiss(old.member.tenant, user.id, &event).await?;
            }
        }
        for rule in earned {
            let member = Member { tenant: rule.tenant, user: user.id, role: rule.role };
            let admission = Admission { member, rule: rule.id };
            if !standing.contains(&admission) {
                changed |= self.admit(&admission, rule).await?;
            }
        }
        Ok(changed)
    }

    async fn admit(&self, admission: &Admission, rule: &AccessRule) -> Result<bool> {
        // Most sign-ins are of people whom somebody made members: nothing is to be written for them.
        let Member { tenant, user, .. } = admission.member;
        if self.repos.tenants.role(tenant, user).await?.is_some()
            && self.repos.admissions.rule_of(tenant, user).await?.is_none()
        {
            return Ok(false);
        }
        let event = self.audit(Actor::System, "member.admitted", user).in_tenant(tenant).with(about(rule));
        Ok(self.repos.admissions.admit(admission, &event).await?)
    }
}

/// A rule, for the audit log.
pub(crate) fn about(rule: &AccessRule) -> serde_json::Value {
    json!({
        "rule": rule.id, "connection": rule.connection, "kind": rule.kind.as_str(), "value": rule.value,
        "role": rule.role,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: RuleKind, value: &str) -> Option<String> {
        let connection = if kind == RuleKind::Group { ConnectionKind::Oidc } else { ConnectionKind::Github };
        NewRule::read(connection, kind, value, Role::Member).ok().map(|rule| rule.value)
    }

    #[test]
    fn values_are_as_facts_have_them() {
        let mut facts = Facts::of_address(Some("\"a@b\"@Example.COM"));
        facts.add_organisation("Acme", 7);
        facts.add_team("Acme", 7, "Core-Team");
        facts.add_group("Staff / EU");
        for (kind, value) in [
            (RuleKind::Domain, " @example.com "),
            (RuleKind::Organisation, "ACME"),
            (RuleKind::Organisation, "id:007"),
            (RuleKind::Team, "acme/core-team"),
            (RuleKind::Team, "id:7/Core-Team"),
            (RuleKind::Group, "Staff / EU"),
        ] {
            let value = read(kind, value).unwrap();
            assert!(facts.holds(kind, &value), "{value}");
        }
        for (kind, value) in [
            (RuleKind::Domain, "b@example.com"),
            (RuleKind::Domain, "ample.com"),
            (RuleKind::Domain, "sub.example.com"),
            (RuleKind::Group, "staff / eu"),
        ] {
            assert!(!read(kind, value).is_some_and(|value| facts.holds(kind, &value)), "{value}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (kind, value) in [
            (RuleKind::Domain, "com"),
            (RuleKind::Domain, "a..b"),
            (RuleKind::Domain, "*.example.com"),
            (RuleKind::Organisation, "a b"),
            (RuleKind::Organisation, "id:x"),
            (RuleKind::Team, "core"),
            (RuleKind::Team, "/core"),
            (RuleKind::Group, ""),
            (RuleKind::Group, "a\nb"),
        ] {
            assert_eq!(read(kind, value), None, "{value}");
        }
        assert!(NewRule::read(ConnectionKind::Google, RuleKind::Group, "a", Role::Member).is_err());
        assert!(NewRule::read(ConnectionKind::Oidc, RuleKind::Group, "a", Role::Owner).is_err());
    }
}
