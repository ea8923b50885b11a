//! `/t/{tenant}/new`: registering a server. Portico connects to it before anything is stored, so a wrong
//! address never takes a name.

use askama::Template;
use auth::Browser;
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use http_kit::{Fields, Problem};
use model::{Name, ServerSlug, UpstreamSource};
use registry::{Member, NewServer};
use url::Url;

use crate::{
    Web,
    access::problem,
    failure::Failure,
    page::{Input, Shell, again, page},
    paths,
};

/// The in-process server that the form offers.
const DEMO: &str = "demo";

#[derive(Clone, Debug, Template)]
#[template(path = "web/register.html")]
pub(crate) struct RegisterPage {
    pub(crate) shell: Shell,
    pub(crate) tenant_name: String,
    pub(crate) tenant_href: String,
    /// What stands before the slug: the beginning of the server's address.
    pub(crate) slug_prefix: String,
    pub(crate) form: RegisterForm,
    /// Why the server could not be looked at.
    pub(crate) failure: Option<Failure>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RegisterForm {
    pub(crate) name: Input,
    pub(crate) slug: Input,
    /// `http` or `demo`.
    pub(crate) source: &'static str,
    pub(crate) url: Input,
}

impl RegisterForm {
    fn blank() -> Self {
        Self { source: "http", ..Self::default() }
    }

    fn read(fields: &Fields) -> Self {
        Self {
            name: Input::new(fields.text("name")),
            slug: Input::new(fields.text("slug")),
            source: if fields.text("source") == DEMO { DEMO } else { "http" },
            url: Input::new(fields.text("url")),
        }
    }

    /// What was described, or the faults noted in the form.
    fn parse(&mut self) -> Option<(Name, ServerSlug, UpstreamSource)> {
        let (name, slug, source) = (self.name.parse(), self.slug.parse(), self.source());
        Some((name?, slug?, source?))
    }

    fn source(&mut self) -> Option<UpstreamSource> {
        if self.source == DEMO {
            return Some(UpstreamSource::Builtin { name: DEMO.into() });
        }
        if self.url.value.trim().is_empty() {
            self.url.refuse("enter the address of the server, or choose the demo server");
            return None;
        }
        let url = Url::parse(self.url.value.trim()).ok();
        if url.is_none() {
            self.url.refuse("this is not an address: it starts with https:// and a host follows");
        }
        url.map(|url| UpstreamSource::Http { url })
    }

    /// How many inputs need a correction.
    pub(crate) fn faults(&self) -> usize {
        [&self.name, &self.slug, &self.url].into_iter().filter(|input| input.fault.is_some()).count()
    }

    /// Puts a refusal of the registry beside the input it is about.
    fn refuse(&mut self, error: registry::Error) -> Result<(), Problem> {
        match error {
            registry::Error::Taken(_) => self.slug.refuse("this name is taken, or was once: choose another one"),
            registry::Error::Invalid { field: "url", reason } => self.url.refuse(reason),
            other => return Err(problem(other)),
        }
        Ok(())
    }
}

pub(crate) async fn get(
    State(web): State<Web>,
    browser: Browser,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    let member = web.member(&browser, &tenant).await?;
    member.developer().ok_or_else(forbidden)?;
    page(&form_page(&browser, &member, RegisterForm::blank(), None))
}

pub(crate) async fn post(
    State(web): State<Web>,
    browser: Browser,
    Path(tenant): Path<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    browser.check_csrf(fields.text("csrf"))?;
    let member = web.member(&browser, &tenant).await?;
    let developer = member.developer().ok_or_else(forbidden)?;
    let mut form = RegisterForm::read(&fields);
    let Some((name, slug, source)) = form.parse() else {
        return again(&form_page(&browser, &member, form, None));
    };
    if let Err(error) = web.registry.may_register(developer, &slug, &source).await {
        form.refuse(error)?;
        return again(&form_page(&browser, &member, form, None));
    }
    let offer = match web.look_at(source.clone(), member.tenant().id, browser.user.id).await {
        Ok(offer) => offer,
        Err(failure) => return again(&form_page(&browser, &member, form, Some(failure))),
    };
    let offer = serde_json::to_value(&offer).map_err(Problem::internal)?;
    match web.registry.register(developer, NewServer { slug, name, source, offer: Some(offer) }).await {
        Ok(server) => Ok(Redirect::to(&paths::review(&member.tenant().slug, &server.slug)).into_response()),
        Err(error) => {
            form.refuse(error)?;
            again(&form_page(&browser, &member, form, None))
        }
    }
}

fn form_page(browser: &Browser, member: &Member, form: RegisterForm, failure: Option<Failure>) -> RegisterPage {
    let tenant = member.tenant();
    RegisterPage {
        shell: Shell::new(browser, "tenants", None),
        tenant_name: tenant.name.to_string(),
        tenant_href: paths::tenant(&tenant.slug),
        slug_prefix: format!("/t/{}/", tenant.slug),
        form,
        failure,
    }
}

/// For members, who know that the tenant is there.
pub(crate) fn forbidden() -> Problem {
    Problem::forbidden("Only developers, admins and owners of this tenant register and change servers.")
}
