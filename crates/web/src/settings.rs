//! `/t/{tenant}/settings`: what its owners and admins decide about clients.

use std::str::FromStr as _;

use askama::Template;
use auth::{Browser, InvalidClient, NewClient};
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http_kit::{Fields, Problem};
use registry::Member;
use storage::repo::{Client, ClientPolicies, ClientPolicy, ClientUse, PolicyMode};

use crate::{
    Web,
    access::problem,
    foreign::Foreign,
    page::{Done, Input, Shell, again, page},
    paths,
    turn::SHOWN,
    words::{self, When},
};

#[derive(Clone, Debug, Template)]
#[template(path = "web/settings.html")]
pub(crate) struct SettingsPage {
    pub(crate) shell: Shell,
    pub(crate) tenant_name: String,
    pub(crate) tenant_href: String,
    pub(crate) dcr: PolicyForm,
    pub(crate) cimd: PolicyForm,
    pub(crate) own: Vec<OwnRow>,
    pub(crate) used: Vec<UseRow>,
    /// Where the rest of the clients is, if they are more than a page shows.
    pub(crate) more: Option<String>,
    pub(crate) form: ClientForm,
    /// What was just given out, once.
    pub(crate) given: Option<Given>,
}

/// One policy, as its form shows it.
#[derive(Clone, Debug)]
pub(crate) struct PolicyForm {
    pub(crate) mode: &'static str,
    pub(crate) allow: Input,
}

impl PolicyForm {
    fn of(policy: &ClientPolicy) -> Self {
        Self { mode: policy.mode.as_str(), allow: Input::new(&policy.allow.join(" ")) }
    }
}

/// A client that the tenant entered.
#[derive(Clone, Debug)]
pub(crate) struct OwnRow {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) targets: Vec<String>,
    pub(crate) secret: bool,
    pub(crate) used: Option<When>,
}

/// A client that people of the tenant have allowed something, or that is blocked.
#[derive(Clone, Debug)]
pub(crate) struct UseRow {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) grants: String,
    pub(crate) used: Option<When>,
    pub(crate) blocked: Option<When>,
}

/// The form for another client.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientForm {
    pub(crate) name: Input,
    pub(crate) redirects: Input,
    pub(crate) confidential: bool,
}

/// An id and a secret that are shown once.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

pub(crate) async fn get(
    State(web): State<Web>,
    browser: Browser,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let member = admin(&web, &browser, &tenant).await?;
    page(&shown(&web, &browser, &member, query.as_deref()).await?)
}

pub(crate) async fn post(
    State(web): State<Web>,
    browser: Browser,
    Path(tenant): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    browser.check_csrf(fields.text("csrf"))?;
    let member = admin(&web, &browser, &tenant).await?;
    let (authority, client) = (member.admin().ok_or_else(forbidden)?, fields.text("client"));
    let home = paths::settings(&member.tenant().slug);
    let blocked = match fields.text("do") {
        "policies" => return policies(&web, &browser, &member, &fields).await,
        "enter" => return enter(&web, &browser, &member, &fields).await,
        "renew" => {
            let secret = web.auth.renew_client_secret(authority, client).await?.ok_or_else(Problem::not_found)?;
            let given = Given { id: client.to_owned(), secret: Some(secret.expose().to_owned()) };
            return page(&SettingsPage { given: Some(given), ..shown(&web, &browser, &member, None).await? });
        }
        "delete" => {
            let deleted = web.auth.delete_client(authority, client).await?;
            return if deleted { Ok(Done::ClientDeleted.redirect(&home)) } else { Err(Problem::not_found()) };
        }
        "block" => true,
        "unblock" => false,
        _ => return Err(Problem::bad_request("This form asks for something that is not here.")),
    };
    web.registry.block_client(authority, client, blocked).await.map_err(problem)?;
    web.auth.sync().await;
    Ok(if blocked { Done::ClientBlocked } else { Done::ClientUnblocked }.redirect(&home))
}

/// The membership of somebody who manages the tenant.
async fn admin(web: &Web, browser: &Browser, tenant: &str) -> Result<Member, Problem> {
    let member = web.member(browser, tenant).await?;
    if member.admin().is_none() {
        return Err(forbidden());
    }
    Ok(member)
}

fn forbidden() -> Problem {
    Problem::forbidden("Owners and admins of the tenant change its settings.")
}

async fn policies(web: &Web, browser: &Browser, member: &Member, fields: &Fields) -> Result<Response, Problem> {
    let read = |name: &str, list: &str| -> Option<ClientPolicy> {
        let mode = PolicyMode::from_str(fields.text(name)).ok()?;
        let allow = fields.text(list).split([' ', ',', '\n', '\r', '\t']).map(ToOwned::to_owned).collect();
        Some(ClientPolicy { mode, allow })
    };
    let (Some(dynamic), Some(documents)) = (read("dcr", "dcr_allow"), read("cimd", "cimd_allow")) else {
        return Err(Problem::bad_request("Choose off, the list, or open."));
    };
    let authority = member.admin().ok_or_else(forbidden)?;
    match web.registry.set_client_policies(authority, ClientPolicies { dynamic, documents }).await {
        Ok(()) => Ok(Done::Saved.redirect(&paths::settings(&member.tenant().slug))),
        Err(registry::Error::Invalid { field, reason }) => {
            let mut form = shown(web, browser, member, None).await?;
            for (policy, name, list) in [(&mut form.dcr, "dcr", "dcr_allow"), (&mut form.cimd, "cimd", "cimd_allow")] {
                policy.mode = PolicyMode::from_str(fields.text(name)).map_or("open", PolicyMode::as_str);
                policy.allow = Input::new(fields.text(list));
                if field == list {
                    policy.allow.refuse(&reason);
                }
            }
            again(&form)
        }
        Err(error) => Err(problem(error)),
    }
}

async fn enter(web: &Web, browser: &Browser, member: &Member, fields: &Fields) -> Result<Response, Problem> {
    let mut form = ClientForm {
        name: Input::new(fields.text("name")),
        redirects: Input::new(fields.text("redirects")),
        confidential: fields.text("confidential") == "yes",
    };
    let new = NewClient {
        name: form.name.value.clone(),
        redirect_uris: form.redirects.value.split_ascii_whitespace().map(ToOwned::to_owned).collect(),
        confidential: form.confidential,
    };
    let fault = match web.auth.enter_client(member.admin().ok_or_else(forbidden)?, new).await? {
        Ok((client, secret)) => {
            let secret = secret.map(|secret| secret.expose().to_owned());
            let given = Some(Given { id: client.client_id, secret });
            return page(&SettingsPage { given, ..shown(web, browser, member, None).await? });
        }
        Err(fault) => fault,
    };
    match fault {
        InvalidClient::Name => form.name.refuse(fault),
        InvalidClient::Redirects | InvalidClient::Secret => form.redirects.refuse(fault),
    }
    again(&SettingsPage { form, ..shown(web, browser, member, None).await? })
}

async fn shown(web: &Web, browser: &Browser, member: &Member, query: Option<&str>) -> Result<SettingsPage, Problem> {
    let (authority, tenant) = (member.admin().ok_or_else(forbidden)?, member.tenant());
    let policies = web.registry.client_policies(authority).await.map_err(problem)?;
    // Ids of documents are addresses, so this turns pages by hand.
    let after = query.and_then(|query| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "clients").map(|(_, id)| id.into_owned())
    });
    let mut used = web.registry.client_uses(authority, after.as_deref(), SHOWN + 1).await.map_err(problem)?;
    let rest = used.len() > SHOWN as usize;
    used.truncate(SHOWN as usize);
    let more = used.last().filter(|_| rest).map(|last| {
        let id: String = url::form_urlencoded::byte_serialize(last.client_id.as_bytes()).collect();
        format!("{}?clients={id}#clients", paths::settings(&tenant.slug))
    });
    let own = web.auth.own_clients(authority, None, SHOWN).await?;
    let now = web.clock.now();
    Ok(SettingsPage {
        shell: Shell::new(browser, "tenants", query),
        tenant_name: tenant.name.to_string(),
        tenant_href: paths::tenant(&tenant.slug),
        dcr: PolicyForm::of(&policies.dynamic),
        cimd: PolicyForm::of(&policies.documents),
        own: own.into_iter().map(|client| own_row(client, now)).collect(),
        used: used.into_iter().map(|client| use_row(client, now)).collect(),
        more,
        form: ClientForm::default(),
        given: None,
    })
}

/// What a client calls itself, as text.
fn name(own: Option<&str>) -> String {
    let name = own.map(|name| Foreign::new(name).text).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "A client without a name".to_owned())
}

fn own_row(client: Client, now: model::Timestamp) -> OwnRow {
    OwnRow {
        name: name(client.name.as_deref()),
        id: client.client_id,
        targets: client.redirect_uris,
        secret: client.secret_hash.is_some(),
        used: client.last_used_at.map(|at| words::when(at, now)),
    }
}

fn use_row(client: ClientUse, now: model::Timestamp) -> UseRow {
    UseRow {
        name: name(client.name.as_deref()),
        id: client.client_id,
        grants: words::number(client.grants),
        used: client.last_used_at.map(|at| words::when(at, now)),
        blocked: client.blocked_at.map(|at| words::when(at, now)),
    }
}
