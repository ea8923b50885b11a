//! Connections and the rules about them.

use std::path::Path;

use model::{Name, Role, Slug};
use storage::repo::{ConnectionKind, Endpoints, RuleKind};

use super::{DeclaredConnection, DeclaredRule, checked, http_address, reason, secret_file};
use crate::{
    Error,
    connections::check_endpoints,
    reader::{Item, Table},
};

pub(super) fn connection(mut table: Table<'_>, base: &Path) -> Option<DeclaredConnection> {
    let slug = table.required::<Slug<2>>("id");
    let kind = table.required::<Kind>("kind").map(|kind| kind.0);
    let name = table.optional::<Name>("name");
    let client_id = table.required::<String>("client_id");
    let client_secret = if let Some(item) = table.take("client_secret_file") {
        secret_file(item, base)
    } else {
        table.fault("client_secret_file", "is missing");
        None
    };
    let endpoints = endpoints(&mut table);
    if let Some(kind) = kind
        && let Err(error) = check_endpoints(kind, &endpoints)
    {
        let field = if let Error::Invalid { field, .. } = &error { *field } else { "" };
        table.fault(field, reason(&error));
    }
    table.finish();
    let (slug, kind) = (slug?, kind?);
    let name = name.or_else(|| kind_name(kind).parse().ok())?;
    Some(DeclaredConnection { slug, kind, name, client_id: client_id?, client_secret: client_secret?, endpoints })
}

fn endpoints(table: &mut Table<'_>) -> Endpoints {
    let mut address = |key: &str| table.take(key).and_then(|item| checked(item, http_address));
    let (issuer, authorize, token) = (address("issuer"), address("authorize_url"), address("token_url"));
    let (api, userinfo) = (address("api_url"), address("userinfo_url"));
    let mut list = |key: &str| table.take(key).map(Item::list::<String>).unwrap_or_default();
    let (scopes, directories) = (list("scopes"), list("directories"));
    Endpoints {
        issuer,
        authorize,
        token,
        api,
        userinfo,
        subject: table.optional("subject_pointer"),
        name: table.optional("name_pointer"),
        email: table.optional("email_pointer"),
        email_verified: table.optional("email_verified_pointer"),
        scopes,
        directories,
        groups_claim: table.optional("groups_claim"),
    }
}

pub(super) fn rule(mut table: Table<'_>) -> Option<DeclaredRule> {
    let connection = table.required::<String>("connection");
    let role = table.optional::<Role>("role").unwrap_or(Role::Member);
    let mut found = Vec::new();
    for kind in [RuleKind::Domain, RuleKind::Organisation, RuleKind::Team, RuleKind::Group] {
        found.extend(table.optional::<String>(kind.as_str()).map(|value| (kind, value)));
    }
    if found.len() != 1 {
        table.fault("", "give exactly one of domain, organisation, team and group");
    }
    table.finish();
    let [(kind, value)] = <[_; 1]>::try_from(found).ok()?;
    Some(DeclaredRule { connection: connection?, kind, value, role })
}

struct Kind(ConnectionKind);

impl std::str::FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "use github, google, entra, oidc or oauth")
    }
}

fn kind_name(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Github => "GitHub",
        ConnectionKind::Google => "Google",
        ConnectionKind::Entra => "Microsoft",
        ConnectionKind::Oidc | ConnectionKind::Oauth => "Single sign-on",
    }
}
