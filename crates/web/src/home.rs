//! `/`: what this is, or the tenants of whoever is signed in. `/t/new`: operators create a tenant.

use askama::Template;
use auth::Browser;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http_kit::{Fields, Problem};
use model::Role;
use registry::NewTenant;
use storage::repo::Membership;

use crate::{
    Web,
    access::problem,
    page::{Done, Input, Shell, again, page},
    paths,
    turn::{Links, Turn},
};

#[derive(Template)]
#[template(path = "web/landing.html")]
pub(crate) struct Landing {
    /// Nobody has an account yet, so that there is nobody to sign in as.
    pub(crate) fresh: bool,
}

#[derive(Clone, Debug, Template)]
#[template(path = "web/home.html")]
pub(crate) struct Home {
    pub(crate) shell: Shell,
    pub(crate) operator: bool,
    pub(crate) tenants: Vec<TenantCard>,
    pub(crate) more: Links,
    /// What an administrator needs to add the person.
    pub(crate) user_id: String,
}

#[derive(Clone, Debug)]
pub(crate) struct TenantCard {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) role: &'static str,
}

#[derive(Clone, Debug, Template)]
#[template(path = "web/tenant_new.html")]
pub(crate) struct NewTenantPage {
    pub(crate) shell: Shell,
    pub(crate) form: TenantForm,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct TenantForm {
    pub(crate) name: Input,
    pub(crate) slug: Input,
}

impl TenantForm {
    fn read(fields: &Fields) -> Self {
        Self { name: Input::new(fields.text("name")), slug: Input::new(fields.text("slug")) }
    }

    /// The tenant that was described, or the faults noted in the form.
    fn parse(&mut self) -> Option<NewTenant> {
        let (name, slug) = (self.name.parse(), self.slug.parse());
        Some(NewTenant { name: name?, slug: slug? })
    }

    /// How many inputs need a correction.
    pub(crate) fn faults(&self) -> usize {
        [&self.name, &self.slug].into_iter().filter(|input| input.fault.is_some()).count()
    }
}

impl From<Membership> for TenantCard {
    fn from(membership: Membership) -> Self {
        Self {
            name: membership.tenant.name.to_string(),
            href: paths::tenant(&membership.tenant.slug),
            role: Role::as_str(membership.role),
        }
    }
}

pub(crate) async fn get(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
    browser: Option<Browser>,
) -> Result<Response, Problem> {
    let Some(browser) = browser else {
        let fresh = !web.registry.setup_closed().await.map_err(problem)?;
        return page(&Landing { fresh });
    };
    let turn = Turn::read(paths::HOME.to_owned(), "tenants", query.as_deref());
    let (user, method) = (browser.user.id, browser.method);
    let tenants = web.registry.memberships(user, method, turn.from.as_ref(), turn.limit()).await;
    let mut tenants = tenants.map_err(problem)?;
    let more = turn.cut(&mut tenants, |membership| membership.tenant.slug.clone());
    page(&Home {
        shell: Shell::new(&browser, "tenants", query.as_deref()),
        operator: browser.operator().is_some(),
        tenants: tenants.into_iter().map(TenantCard::from).collect(),
        more,
        user_id: browser.user.id.to_string(),
    })
}

pub(crate) async fn new_get(browser: Browser) -> Result<Response, Problem> {
    browser.operator().ok_or_else(Problem::not_found)?;
    page(&NewTenantPage { shell: Shell::new(&browser, "tenants", None), form: TenantForm::default() })
}

pub(crate) async fn new_post(State(web): State<Web>, browser: Browser, fields: Fields) -> Result<Response, Problem> {
    browser.check_csrf(fields.text("csrf"))?;
    let operator = browser.operator().ok_or_else(Problem::not_found)?;
    let mut form = TenantForm::read(&fields);
    if let Some(new) = form.parse() {
        let href = paths::tenant(&new.slug);
        match web.registry.found_tenant(operator, new).await {
            Ok(_) => {
                web.auth.sync().await;
                return Ok(Done::TenantCreated.redirect(&href));
            }
            Err(registry::Error::Taken(_)) => form.slug.refuse("this name is taken, choose another one"),
            Err(error) => return Err(problem(error)),
        }
    }
    again(&NewTenantPage { shell: Shell::new(&browser, "tenants", None), form })
}
