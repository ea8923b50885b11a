//! Why a server could not be looked at, for whoever registers it.

use model::{TenantId, UpstreamSource, UserId};
use upstream::{InspectError, Offer, inspect};

use crate::{Web, foreign::Foreign};

/// An explanation in plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened. Where it quotes the server, it went through [`Foreign`].
    pub(crate) text: String,
    /// What to do about it; may be empty.
    pub(crate) advice: &'static str,
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        Self { text: Foreign::new(&error.to_string()).text, advice: advice(&error) }
    }
}

fn advice(error: &InspectError) -> &'static str {
    match error {
        InspectError::Forbidden => {
            "An operator can allow single addresses of private networks in the configuration. A server on this \
             machine can be registered while Portico itself listens on this machine only."
        }
        InspectError::NeedsAuthorization => {
            "Register servers here that answer without a credential, for example in a network that only Portico reaches."
        }
        InspectError::Status(_) | InspectError::NotMcp(_) => {
            "The address often ends in /mcp. A web page, a REST API or the older HTTP+SSE transport is something else."
        }
        InspectError::TooSlow => "Check that nothing between Portico and the server holds back answers, and try again.",
        InspectError::UnknownVersion(_) => "Update the server, or the library that it is made with.",
        InspectError::Unreachable(_)
        | InspectError::Redirects(_)
        | InspectError::Failed { .. }
        | InspectError::TooLarge
        | InspectError::UnknownBuiltin => "",
    }
}

impl Web {
    /// Connects to a server that is about to be registered and lists what it offers.
    pub(crate) async fn look_at(
        &self,
        source: UpstreamSource,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Offer, Failure> {
        inspect(&*self.upstream, source, tenant, user).await.map_err(|error| {
            tracing::info!(tenant.id = %tenant, error = &error as &dyn std::error::Error, "a server cannot be looked at");
            Failure::from(error)
        })
    }
}
