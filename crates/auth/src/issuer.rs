//! Who we are to a client: one issuer for the installation, or one for each tenant.
//!
//! Invariants:
//! - Everything that names an issuer has it from here: documents, tokens, authorization responses.
//! - A client that registered with one issuer is unknown to every other, and nothing that one issuer gave out is
//!   taken at the endpoints of another.
//! - Whether there is such a tenant decides nothing here: nobody learns from an issuer who is there.

use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use http_kit::Problem;
use model::{ResourcePath, TenantSlug, random_token};
use serde::{Deserialize, Serialize};
use storage::repo::{Client, ClientOrigin};

use crate::Auth;

/// How many issuers an installation has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerMode {
    /// One: the origin of sign-in.
    #[default]
    Platform,
    /// One for each tenant: that origin and `/t/{tenant}`. Clients register with each tenant anew.
    Tenant,
}

impl FromStr for IssuerMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "platform" => Ok(Self::Platform),
            "tenant" => Ok(Self::Tenant),
            _ => Err("use platform or tenant"),
        }
    }
}

impl IssuerMode {
    /// What stands before the paths of an issuer's endpoints, as a route.
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Platform => "",
            Self::Tenant => "/t/{tenant}",
        }
    }
}

/// An issuer: its URL, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issuer {
    url: String,
    tenant: Option<TenantSlug>,
}

impl Issuer {
    /// The issuer of a resource.
    pub(crate) fn of(auth: &Auth, path: &ResourcePath) -> Self {
        match auth.config.issuers {
            IssuerMode::Platform => Self::platform(auth),
            IssuerMode::Tenant => Self::tenant(auth, path.tenant.clone()),
        }
    }

    fn platform(auth: &Auth) -> Self {
        Self { url: auth.origins.auth.clone(), tenant: None }
    }

    fn tenant(auth: &Auth, tenant: TenantSlug) -> Self {
        Self { url: format!("{}/t/{tenant}", auth.origins.auth), tenant: Some(tenant) }
    }

    /// The URL, as `iss` has it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The path of one of its endpoints.
    pub(crate) fn path(&self, endpoint: &str) -> String {
        self.tenant.as_ref().map_or_else(|| endpoint.to_owned(), |tenant| format!("/t/{tenant}{endpoint}"))
    }

    /// Whether it issues tokens for a resource.
    pub(crate) fn covers(&self, path: &ResourcePath) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == path.tenant)
    }

    /// An id for a client that registers with it. The id says which issuer it is of, so that no other takes it.
    pub(crate) fn client_id(&self, auth: &Auth) -> String {
        random_token(&*auth.entropy, &self.prefix())
    }

    fn prefix(&self) -> String {
        self.tenant.as_ref().map_or_else(|| "c_".to_owned(), |tenant| format!("c_{tenant}_"))
    }

    /// Whether a client is one of its own. Those that the tenant registered itself are its issuer's; a client that
    /// is known by a document of its own belongs to nobody and is the same everywhere.
    pub(crate) fn has_client(&self, auth: &Auth, client: &Client) -> bool {
        match (&self.tenant, client.origin) {
            (None, _) | (_, ClientOrigin::Document) => true,
            (Some(_), ClientOrigin::Dynamic) => {
                let random = client.client_id.strip_prefix(&self.prefix());
                random.is_some_and(|random| !random.contains('_'))
            }
            (Some(tenant), ClientOrigin::Registered) => {
                let tenant = auth.directory.tenant(tenant).map(|tenant| tenant.id);
                client.tenant.is_some() && client.tenant == tenant
            }
        }
    }
}

/// The issuer that a request's path is of. A tenant that cannot be one has none.
impl FromRequestParts<Auth> for Issuer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Problem> {
        if auth.config.issuers == IssuerMode::Platform {
            return Ok(Self::platform(auth));
        }
        let params = RawPathParams::from_request_parts(parts, auth).await.map_err(|_| Problem::not_found())?;
        let tenant = params.iter().find(|(name, _)| *name == "tenant").and_then(|(_, value)| value.parse().ok());
        tenant.map(|tenant| Self::tenant(auth, tenant)).ok_or_else(Problem::not_found)
    }
}

/// Whether `iss` is the issuer of the resource at `path`, byte for byte, without building the URL.
pub(crate) fn is_issuer(iss: &str, mode: IssuerMode, origin: &str, path: &ResourcePath) -> bool {
    let rest = iss.strip_prefix(origin);
    match mode {
        IssuerMode::Platform => rest == Some(""),
        IssuerMode::Tenant => rest.and_then(|rest| rest.strip_prefix("/t/")) == Some(path.tenant.as_str()),
    }
}
