//! Which tenant and server a page is about, for whoever looks at it.

use auth::Browser;
use http_kit::Problem;
use registry::Member;
use storage::{StorageError, repo::Server};

use crate::{Web, page::sentence};

impl Web {
    /// The person's membership. A stranger, an absent tenant and what is no slug at all are one answer.
    pub(crate) async fn member(&self, browser: &Browser, tenant: &str) -> Result<Member, Problem> {
        let slug = tenant.parse().map_err(|_| Problem::not_found())?;
        let member = self.registry.member(browser.user.id, browser.method, &slug).await.map_err(problem)?;
        member.ok_or_else(Problem::not_found)
    }

    /// A server of a tenant that the person is in; everything else is the same answer as above.
    pub(crate) async fn server(
        &self,
        browser: &Browser,
        tenant: &str,
        server: &str,
    ) -> Result<(Member, Server), Problem> {
        let member = self.member(browser, tenant).await?;
        let slug = server.parse().map_err(|_| Problem::not_found())?;
        let server = self.registry.server(&member, &slug).await.map_err(problem)?;
        Ok((member, server.ok_or_else(Problem::not_found)?))
    }
}

/// A refusal of the registry, where no input of a form is to blame.
pub(crate) fn problem(error: registry::Error) -> Problem {
    match error {
        registry::Error::Invalid { reason, .. } => Problem::conflict(sentence(&reason)),
        registry::Error::Taken(_) => Problem::conflict("This name is taken."),
        registry::Error::Blocked => Problem::forbidden("This account is blocked."),
        // Somebody else has just taken it away.
        registry::Error::Storage(StorageError::Missing(_)) => Problem::not_found(),
        registry::Error::Busy => Problem::unavailable(error),
        registry::Error::Storage(error) => error.into(),
    }
}
