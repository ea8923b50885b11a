//! `/setup?token=…`: makes the first person, once.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use http_kit::{Fields, Problem};
use model::{Secret, Timestamp, random_token};
use registry::{NewSetup, NewTenant};
use serde::{Deserialize, Serialize};
use storage::{Collection, Durability, Keys, Lifetime, Owner, Stored, Values, repo::SignInMethod};
use subtle::ConstantTimeEq as _;

use crate::{
    Auth,
    refusal::refusal,
    session::{BrowserSession, hash_hex},
};

pub(super) const PATH: &str = "/setup";

pub(crate) const LINKS: Collection =
    Collection { name: "setup", durability: Durability::Durable, format: 2, reads: &[1] };
/// The key of the newest link: one place, so that a new link makes the older one useless.
pub(super) const LINK: &str = "link";

/// The hash of a link's token, in hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LinkHash(String);

impl Stored for LinkHash {
    const COLLECTION: Collection = LINKS;
    const KEYS: Keys = Keys::Plain;

    /// Format 1 was the hash itself, without JSON around it.
    fn upgrade(_format: u8, old: &[u8]) -> Option<Self> {
        let hash = str::from_utf8(old).ok()?;
        (hash.len() == 64).then(|| Self(hash.to_owned()))
    }
}

pub(super) fn links(auth: &Auth) -> Values<LinkHash> {
    Values::new(&auth.kv, &auth.clock, Owner::Platform, Lifetime::For(auth.config.lifetimes.setup))
}

/// A link that lets one person set up this installation.
#[derive(Debug)]
pub struct SetupLink {
    /// The URL, with its token.
    pub url: Secret,
    /// From when it does nothing any more.
    pub expires: Timestamp,
    /// How long that is from now.
    pub lifetime: Duration,
}

/// What came of offering a link.
#[derive(Debug)]
pub enum Offered {
    /// This one.
    Link(SetupLink),
    /// One was made before, and still works.
    Earlier,
    /// Set-up is over.
    Closed,
}

/// Makes and checks set-up links.
#[derive(Clone, Debug)]
pub struct Setup(Auth);

impl Setup {
    /// Set-up of this installation.
    pub fn new(auth: &Auth) -> Self {
        Self(auth.clone())
    }

    /// A new link, while set-up is open: nobody is there and nobody has completed it. Links that were made
    /// before do nothing any more. Only a hash of the token is kept.
    pub async fn issue(&self) -> Result<Option<SetupLink>, registry::Error> {
        let auth = &self.0;
        if auth.registry.setup_closed().await? {
            return Ok(None);
        }
        let (link, hash) = self.link();
        links(auth).put(LINK, &hash).await?;
        Ok(Some(link))
    }

    /// A link, unless there is one that still works. Of several replicas that start at once, one has it:
    /// with [`issue`](Self::issue) each would take the others' away.
    pub async fn offer(&self) -> Result<Offered, registry::Error> {
        let auth = &self.0;
        if auth.registry.setup_closed().await? {
            return Ok(Offered::Closed);
        }
        let (link, hash) = self.link();
        let stored = links(auth).insert(LINK, &hash).await?;
        Ok(stored.map_or(Offered::Earlier, |_| Offered::Link(link)))
    }

    /// A link that nobody knows of yet, and what to store for it.
    fn link(&self) -> (SetupLink, LinkHash) {
        let auth = &self.0;
        let token = random_token(&*auth.entropy, "setup_");
        let lifetime = auth.config.lifetimes.setup;
        let url = Secret::new(format!("{}{PATH}?token={token}", auth.origins.auth));
        (SetupLink { url, expires: auth.clock.now() + lifetime, lifetime }, LinkHash(hash_hex(&token)))
    }

    /// Whether a token is the one of the newest link, in time, and set-up is still open.
    async fn is_open(&self, token: &str) -> Result<bool, Problem> {
        let auth = &self.0;
        let Some(link) = links(auth).get(LINK).await? else { return Ok(false) };
        let right = bool::from(hash_hex(token).as_bytes().ct_eq(link.value.0.as_bytes()));
        Ok(right && !auth.registry.setup_closed().await.map_err(refusal)?)
    }

    /// Tidies up. That set-up is over is written in SQL, so the link does nothing any more either way.
    async fn close(&self) {
        if let Err(error) = links(&self.0).delete(LINK).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the set-up link cannot be deleted");
        }
    }
}

#[derive(Template, Default)]
#[template(path = "auth/setup.html")]
struct Page<'a> {
    open: bool,
    csrf: String,
    token: &'a str,
    person: &'a str,
    email: &'a str,
    tenant: &'a str,
    faults: Faults,
}

/// What is wrong, by field.
#[derive(Default)]
struct Faults {
    name: Option<String>,
    email: Option<String>,
    password: Option<String>,
    tenant: Option<String>,
}

impl Faults {
    fn count(&self) -> usize {
        [&self.name, &self.email, &self.password, &self.tenant].into_iter().flatten().count()
    }

    /// Puts a refusal of the registry beside its field; whatever is not about a field is a problem.
    fn add(&mut self, error: registry::Error) -> Result<(), Problem> {
        let (field, reason) = match error {
            registry::Error::Invalid { field, reason } => (field, reason),
            registry::Error::Taken(_) => ("tenant", "this name is already taken".to_owned()),
            error => return Err(refusal(error)),
        };
        let place = match field {
            "email" => &mut self.email,
            "password" => &mut self.password,
            "tenant" => &mut self.tenant,
            _ => &mut self.name,
        };
        *place = Some(reason);
        Ok(())
    }
}

/// The form, for whoever has the link. Changes nothing: links are opened by mail scanners and previews.
pub(super) async fn get(State(auth): State<Auth>, browser: BrowserSession, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri).map_err(|_| Problem::bad_request("This address has a parameter twice."))?;
    let token = fields.text("token");
    if !Setup::new(&auth).is_open(token).await? {
        return closed();
    }
    let page = Page { open: true, csrf: browser.csrf(&form(token)), token, tenant: "home", ..Page::default() };
    let page = page.render()?;
    Ok(browser.remember(Html(page)))
}

/// Completes set-up and signs the person in.
pub(super) async fn post(
    State(auth): State<Auth>,
    mut browser: BrowserSession,
    fields: Fields,
) -> Result<Response, Problem> {
    let token = fields.text("token");
    browser.check_csrf(&form(token), fields.text("csrf"))?;
    let setup = Setup::new(&auth);
    if !setup.is_open(token).await? {
        return closed();
    }
    let mut faults = Faults::default();
    if let Some(new) = entered(&fields, &mut faults) {
        match auth.registry.complete_setup(new).await {
            Ok(Some(user)) => {
                setup.close().await;
                auth.sync().await;
                browser.begin(user, SignInMethod::Local).await?;
                return Ok(browser.remember(Redirect::to("/")));
            }
            Ok(None) => return closed(),
            Err(error) => faults.add(error)?,
        }
    }
    let (person, email, tenant) = (fields.text("name"), fields.text("email"), fields.text("tenant"));
    let page = Page { open: true, csrf: browser.csrf(&form(token)), token, person, email, tenant, faults };
    let page = page.render()?;
    Ok(browser.remember((StatusCode::UNPROCESSABLE_ENTITY, Html(page))))
}

/// What was entered, if it has the right forms; a tenant is wanted where one is named.
fn entered(fields: &Fields, faults: &mut Faults) -> Option<NewSetup> {
    let name = fields.text("name").parse().map_err(|error: model::InvalidName| faults.name = Some(error.to_string()));
    let tenant = match fields.text("tenant").trim() {
        "" => Ok(None),
        slug => tenant(slug).map(Some).map_err(|fault| faults.tenant = Some(fault)),
    };
    let (name, tenant) = (name.ok()?, tenant.ok()?);
    Some(NewSetup { name, email: fields.text("email").to_owned(), password: fields.secret("password"), tenant })
}

fn tenant(slug: &str) -> Result<NewTenant, String> {
    let name = slug.parse().map_err(|error: model::InvalidName| error.to_string())?;
    Ok(NewTenant { slug: slug.parse().map_err(|error: model::InvalidSlug| error.to_string())?, name })
}

/// The same page for a link that is used, old, replaced or made up.
fn closed() -> Result<Response, Problem> {
    Ok((StatusCode::NOT_FOUND, Html(Page::default().render()?)).into_response())
}

/// What the page's CSRF token is for.
fn form(token: &str) -> String {
    format!("setup {}", hash_hex(token))
}
