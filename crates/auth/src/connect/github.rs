//! GitHub and GitHub Enterprise: OAuth without OpenID Connect. Who somebody is, the API says.

use http_kit::outbound::Outbound;
use model::Secret;
use oauth2::AuthType;
use registry::{Claims, Facts, Wanted};
use serde::{Deserialize, de::DeserializeOwned};
use storage::repo::Endpoints;

use super::{
    error::ConnectError,
    exchange::get_json,
    provider::{OauthEndpoints, Provider, acceptable},
};

const AUTHORIZE: &str = "https://github.com/login/oauth/authorize";
const TOKEN: &str = "https://github.com/login/oauth/access_token";
const API: &str = "https://api.github.com";
/// How many entries a page of a list has.
const PAGE: usize = 100;
/// How many pages of a list are read.
const PAGES: usize = 10;

/// The usual places, or where configuration says.
pub(super) fn provider(known: &Endpoints) -> Result<Provider, ConnectError> {
    let endpoint = |place: &Option<String>, usual| {
        acceptable(place.as_deref().unwrap_or(usual))
            .ok_or(ConnectError::Misconfigured("an endpoint is neither https nor on this machine"))
    };
    let endpoints = OauthEndpoints {
        authorize: endpoint(&known.authorize, AUTHORIZE)?,
        token: endpoint(&known.token, TOKEN)?,
        auth: AuthType::RequestBody,
    };
    let api = endpoint(&known.api, API)?.as_str().trim_end_matches('/').to_owned();
    Ok(Provider::Github { endpoints, api })
}

/// `GET /user`. The login can be renamed and taken by somebody else; the id is for good.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

/// An entry of `GET /user/emails`.
#[derive(Deserialize)]
struct Entry {
    email: String,
    primary: bool,
    verified: bool,
}

/// An entry of `GET /user/memberships/orgs`.
#[derive(Deserialize)]
struct Membership {
    state: String,
    organization: Organisation,
}

/// An organisation. The login can be renamed and taken by somebody else, the id cannot.
#[derive(Deserialize)]
struct Organisation {
    login: String,
    id: u64,
}

/// An entry of `GET /user/teams`.
#[derive(Deserialize)]
struct Team {
    slug: String,
    organization: Organisation,
}

/// Who a token belongs to. The address is the primary one, if GitHub has verified it; not the one on the
/// profile, which is free text.
pub(super) async fn identity(
    outbound: &Outbound,
    api: &str,
    token: &Secret,
    wanted: Wanted,
) -> Result<Claims, ConnectError> {
    let user: User = get_json(outbound, &format!("{api}/user"), Some(token), "user of GitHub's API").await?;
    let emails = get_json(outbound, &format!("{api}/user/emails"), Some(token), "addresses of GitHub's API").await;
    let emails: Vec<Entry> = match emails {
        Ok(emails) => emails,
        // Without the scope, which people and organisations can take away, the address is just not known.
        Err(ConnectError::Status(_, status)) if matches!(status.as_u16(), 403 | 404) => Vec::new(),
        Err(error) => return Err(error),
    };
    let email = emails.into_iter().find(|entry| entry.primary && entry.verified).map(|entry| entry.email);
    let mut facts = Facts::of_address(email.as_deref());
    if wanted.organisations {
        belongs(outbound, api, token, &mut facts).await?;
    }
    let name = user.name.filter(|name| !name.trim().is_empty()).unwrap_or(user.login);
    Ok(Claims { subject: user.id.to_string(), name: Some(name), email_verified: email.is_some(), email, facts })
}

/// Adds the organisations and teams that the person is in. That the API does not say it is no reason to think
/// that there are none: then nobody signs in.
async fn belongs(outbound: &Outbound, api: &str, token: &Secret, facts: &mut Facts) -> Result<(), ConnectError> {
    let path = format!("{api}/user/memberships/orgs?state=active");
    for membership in all::<Membership>(outbound, &path, token, "organisations of GitHub's API").await? {
        // An invitation that was not accepted is none.
        if membership.state == "active" {
            facts.add_organisation(&membership.organization.login, membership.organization.id);
        }
    }
    let path = format!("{api}/user/teams?");
    for team in all::<Team>(outbound, &path, token, "teams of GitHub's API").await? {
        facts.add_team(&team.organization.login, team.organization.id, &team.slug);
    }
    Ok(())
}

async fn all<T: DeserializeOwned>(
    outbound: &Outbound,
    path: &str,
    token: &Secret,
    what: &'static str,
) -> Result<Vec<T>, ConnectError> {
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let url = format!("{path}&per_page={PAGE}&page={page}");
        let entries: Vec<T> = get_json(outbound, &url, Some(token), what).await?;
        let last = entries.len() < PAGE;
        all.extend(entries);
        if last {
            break;
        }
    }
    Ok(all)
}
