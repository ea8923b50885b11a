use model::{Name, RevisionId, ServerId, ServerSlug, Timestamp, UpstreamSource};
use serde_json::json;
use storage::repo::{Actor, AuditEvent, Server, ServerRevision, ServerState, UsageCount};

use crate::{Developer, Error, Member, Registry, Result};

/// A server to be registered.
#[derive(Clone, Debug)]
pub struct NewServer {
    /// Its name in URLs, unique in the tenant.
    pub slug: ServerSlug,
    /// What pages call it.
    pub name: Name,
    /// Where answers come from.
    pub source: UpstreamSource,
    /// What it offered when it was looked at, as `upstream::Offer` writes it.
    pub offer: Option<serde_json::Value>,
}

impl Registry {
    /// The servers of a member's tenant, drafts and disabled ones too, in order of slug, after `after`.
    pub async fn servers(&self, member: &Member, after: Option<&ServerSlug>, limit: u32) -> Result<Vec<Server>> {
        Ok(self.repos.servers.list(member.tenant().id, after, limit).await?)
    }

    /// A server of a member's tenant, by id.
    pub async fn server_of(&self, member: &Member, id: ServerId) -> Result<Option<Server>> {
        Ok(self.repos.servers.server(member.tenant().id, id).await?)
    }

    /// A server of a member's tenant, by slug or alias.
    pub async fn server(&self, member: &Member, slug: &ServerSlug) -> Result<Option<Server>> {
        Ok(self.repos.servers.by_slug(member.tenant().id, slug).await?)
    }

    /// The revision that answers, or the newest one of a draft.
    pub async fn current_revision(&self, member: &Member, server: &Server) -> Result<Option<ServerRevision>> {
        let tenant = member.tenant().id;
        match server.live {
            Some(live) => Ok(self.repos.servers.revision(tenant, live).await?),
            None => Ok(self.repos.servers.revisions(tenant, server.id, None, 1).await?.into_iter().next()),
        }
    }

    /// The counts of a server of a member's tenant in the hours from `since` on, in order.
    pub async fn usage(&self, member: &Member, server: &Server, since: Timestamp) -> Result<Vec<UsageCount>> {
        Ok(self.repos.usage.since(member.tenant().id, server.id, since).await?)
    }

    /// The revisions of a server of a member's tenant, newest first, that are older than `before`.
    pub async fn revisions(
        &self,
        member: &Member,
        server: &Server,
        before: Option<RevisionId>,
        limit: u32,
    ) -> Result<Vec<ServerRevision>> {
        Ok(self.repos.servers.revisions(member.tenant().id, server.id, before, limit).await?)
    }

    /// Whether [`register`](Self::register) would take this name and source, as far as can be told
    /// beforehand: so that a form is refused before its server is connected to.
    pub async fn may_register(
        &self,
        developer: Developer<'_>,
        slug: &ServerSlug,
        source: &UpstreamSource,
    ) -> Result<()> {
        check_source(source)?;
        match self.server(developer.member(), slug).await? {
            Some(_) => Err(Error::Taken("this name")),
            None => Ok(()),
        }
    }

    /// Registers a server as a draft: it has no working URL until [`go_live`](Self::go_live).
    pub async fn register(&self, developer: Developer<'_>, new: NewServer) -> Result<Server> {
        check_source(&new.source)?;
        let member = developer.member();
        let server = Server {
            id: self.id(),
            tenant: member.tenant().id,
            slug: new.slug,
            name: new.name,
            state: ServerState::Draft,
            live: None,
            created_at: self.clock.now(),
        };
        let revision = ServerRevision {
            id: self.id(),
            tenant: server.tenant,
            server: server.id,
            source: new.source,
            offer: new.offer,
            created_by: Some(member.user()),
            created_at: server.created_at,
        };
        let event = self.by(member, "server.registered", &server).with(json!({ "slug": server.slug.as_str() }));
        self.repos.servers.create(&server, &revision, &event).await.map_err(|error| match Error::from(error) {
            Error::Taken(_) => Error::Taken("this name"),
            error => error,
        })?;
        Ok(server)
    }

    /// Lets a reviewed draft answer with the revision that was reviewed.
    pub async fn go_live(&self, developer: Developer<'_>, server: &Server, reviewed: RevisionId) -> Result<Server> {
        let member = developer.member();
        let revision = self.repos.servers.revision(member.tenant().id, reviewed).await?;
        if revision.is_none_or(|revision| revision.server != server.id) {
            return Err(Error::invalid("revision", "this is not a revision of the server"));
        }
        let live = Server { state: ServerState::Live, live: Some(reviewed), ..server.clone() };
        self.change(member, "server.went-live", live).await
    }

    /// Takes back a draft. Its name stays used, like that of every deleted server.
    pub async fn discard_draft(&self, developer: Developer<'_>, server: &Server) -> Result<bool> {
        let member = developer.member();
        let present = self.repos.servers.server(member.tenant().id, server.id).await?;
        if present.is_none_or(|present| present.state != ServerState::Draft) {
            return Ok(false);
        }
        let event = self.by(member, "server.discarded", server);
        Ok(self.repos.servers.delete(member.tenant().id, server.id, &event).await?)
    }

    /// Switches a live server off: its URL answers as if it were not there.
    pub async fn disable(&self, developer: Developer<'_>, server: &Server) -> Result<Server> {
        if server.state != ServerState::Live {
            return Err(Error::invalid("state", "only a live server can be switched off"));
        }
        let disabled = Server { state: ServerState::Disabled, ..server.clone() };
        self.change(developer.member(), "server.disabled", disabled).await
    }

    /// Switches a disabled server on again, with the revision it had.
    pub async fn enable(&self, developer: Developer<'_>, server: &Server) -> Result<Server> {
        if server.state != ServerState::Disabled || server.live.is_none() {
            return Err(Error::invalid("state", "only a server that was switched off can be switched on"));
        }
        let live = Server { state: ServerState::Live, ..server.clone() };
        self.change(developer.member(), "server.enabled", live).await
    }

    async fn change(&self, member: &Member, action: &str, server: Server) -> Result<Server> {
        if server.tenant != member.tenant().id {
            return Err(Error::invalid("server", "this is not a server of the tenant"));
        }
        let event = self.by(member, action, &server);
        self.repos.servers.update(&server, &event).await?;
        Ok(server)
    }

    fn by(&self, member: &Member, action: &str, server: &Server) -> AuditEvent {
        self.audit(Actor::User(member.user()), action, server.id).in_tenant(member.tenant().id)
    }
}

/// Refuses addresses that no upstream can have, wherever they come from. Whether an address may be
/// connected to is the outbound client's decision, at connect time.
pub(crate) fn check_source(source: &UpstreamSource) -> Result<()> {
    let UpstreamSource::Http { url } = source else {
        return Ok(());
    };
    let reason = if !matches!(url.scheme(), "http" | "https") {
        "use an http or https address"
    } else if url.host_str().is_none_or(str::is_empty) {
        "the address has no host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "leave credentials out of the address"
    } else if url.fragment().is_some() {
        "leave the part behind # out of the address"
    } else if url.as_str().len() > 2000 {
        "the address is too long"
    } else {
        return Ok(());
    };
    Err(Error::invalid("url", reason))
}
