use std::collections::HashSet;

use storage::repo::RuleKind;

/// What rules about a connection look at, beyond who somebody is: what has to be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The organisations and teams of GitHub.
    pub organisations: bool,
    /// The groups of OpenID Connect.
    pub groups: bool,
}

/// What a provider says of a person, as far as rules look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(HashSet<(RuleKind, String)>);

impl Facts {
    /// Of an address that the provider vouches for.
    pub fn of_address(verified: Option<&str>) -> Self {
        // What stands before the last `@` may have one itself, between quotes.
        Self::of_domain(verified.and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain))
    }

    /// Of a domain whose addresses the provider manages.
    pub fn of_domain(domain: Option<&str>) -> Self {
        let domain = domain.map(|domain| (RuleKind::Domain, domain.to_ascii_lowercase()));
        Self(domain.into_iter().collect())
    }

    /// Adds an organisation of GitHub, whose login others may have one day and whose number they never have.
    pub fn add_organisation(&mut self, login: &str, id: u64) {
        self.0.insert((RuleKind::Organisation, login.to_ascii_lowercase()));
        self.0.insert((RuleKind::Organisation, format!("id:{id}")));
    }

    /// Adds a team of GitHub.
    pub fn add_team(&mut self, organisation: &str, id: u64, team: &str) {
        let team = team.to_ascii_lowercase();
        self.0.insert((RuleKind::Team, format!("{}/{team}", organisation.to_ascii_lowercase())));
        self.0.insert((RuleKind::Team, format!("id:{id}/{team}")));
    }

    /// Adds a group.
    pub fn add_group(&mut self, group: &str) {
        self.0.insert((RuleKind::Group, group.to_owned()));
    }

    /// Whether this is so. `value` is as rules have it.
    pub(crate) fn holds(&self, kind: RuleKind, value: &str) -> bool {
        self.0.contains(&(kind, value.to_owned()))
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
