//! What is raced for.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use model::{GrantId, Id, Resource, Role, ScopeSet};
use sha2::{Digest as _, Sha256};
use storage::{
    Collection, Durability, Keep, Owner, Place, Revision,
    repo::{
        Actor, AuditEvent, Code, Grant, GrantState, Member, Redeemed, Refresh, Replacement, Repos, Rotated, Server,
        ServerRevision, ServerState, SignInMethod, Tenant, TenantState, TokenHash, User, UserState,
    },
};
use tokio::sync::OnceCell;

use super::stores::Open;

/// One of the gates of Portico.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contest {
    /// One takes a value.
    Take,
    /// One inserts a value.
    Insert,
    /// One replaces a value.
    Replace,
    /// One redeems an authorization code.
    Code,
    /// One is the first to rotate a refresh token.
    Rotation,
}

impl Contest {
    /// The gates of values.
    pub(super) const VALUES: [Self; 3] = [Self::Take, Self::Insert, Self::Replace];
    /// The gates of grants.
    pub(super) const GRANTS: [Self; 2] = [Self::Code, Self::Rotation];
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Take => "take",
            Self::Insert => "insert",
            Self::Replace => "replace",
            Self::Code => "code",
            Self::Rotation => "rotation",
        })
    }
}

impl FromStr for Contest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Take, Self::Insert, Self::Replace, Self::Code, Self::Rotation];
        all.into_iter().find(|contest| contest.to_string() == text).with_context(|| format!("{text} is no contest"))
    }
}

const PRIZES: Collection = Collection { name: "race-prizes", durability: Durability::Durable, format: 1, reads: &[] };
const HOUR: Duration = Duration::from_hours(1);
/// As the authorization server has it.
const SIBLINGS: u32 = 5;
const RULES: Replacement =
    Replacement { grace: Duration::from_mins(2), lost: Duration::from_hours(24), siblings: SIBLINGS };

/// A store with what the races need.
pub(super) struct Ground {
    open: Open,
    /// Who allows what, made by the process that prepares.
    owner: OnceCell<(User, Server)>,
}

impl Ground {
    pub(super) fn new(open: Open) -> Self {
        Self { open, owner: OnceCell::new() }
    }

    /// Puts up what is raced for; what the others have to know of it.
    pub(super) async fn prepare(&self, contest: Contest, round: u32) -> Result<String> {
        let key = format!("{contest}-{round}");
        match contest {
            Contest::Take | Contest::Replace => {
                let revision = self.open.values.put(place(&key), b"nobody", Keep::Forever).await?;
                Ok(revision.0.to_string())
            }
            Contest::Insert => Ok("nothing".to_owned()),
            Contest::Code | Contest::Rotation => {
                let (user, server) = self.owner.get_or_try_init(async || self.settle().await).await?;
                let grant = self.grant(user, server);
                let code = Self::code(&grant, hash(&key));
                self.repos()?.grants.authorize(&grant, &code, &self.audit("grant.requested")).await?;
                if contest == Contest::Rotation {
                    let (refresh, audit) = (self.refresh(grant.id, hash(&key), None), self.audit("grant.created"));
                    let now = self.open.clock.now();
                    let redeemed = self.repos()?.grants.redeem(&code.hash, Some(&refresh), now, &audit).await?;
                    ensure!(redeemed == Redeemed::Yes, "nobody else had the code");
                }
                Ok(grant.id.to_string())
            }
        }
    }

    /// Tries to be first, as `name`.
    pub(super) async fn attempt(&self, contest: Contest, round: u32, prize: &str, name: &str) -> Result<bool> {
        let key = format!("{contest}-{round}");
        let (values, now) = (&self.open.values, self.open.clock.now());
        match contest {
            Contest::Take => match values.take(place(&key)).await? {
                Some(entry) if entry.value[..] == *b"nobody" => Ok(true),
                Some(entry) => bail!("took {:?}", entry.value),
                None => Ok(false),
            },
            Contest::Insert => {
                Ok(values.insert(place(&key), name.as_bytes(), Keep::Until(now + HOUR)).await?.is_some())
            }
            Contest::Replace => {
                let seen = Revision(prize.parse()?);
                Ok(values.replace(place(&key), seen, name.as_bytes(), Keep::Until(now + HOUR)).await?.is_some())
            }
            Contest::Code => {
                let repos = self.repos()?;
                let refresh = self.refresh(prize.parse()?, hash(&format!("{key}-{name}")), None);
                let audit = self.audit("grant.created");
                Ok(repos.grants.redeem(&hash(&key), Some(&refresh), now, &audit).await? == Redeemed::Yes)
            }
            Contest::Rotation => {
                let repos = self.repos()?;
                let child = self.refresh(prize.parse()?, hash(&format!("{key}-{name}")), Some(hash(&key)));
                let audit = self.audit("grant.refreshed");
                let rotated = repos.grants.rotate(&child, now, &RULES, &audit).await?;
                Ok(rotated == Rotated::First)
            }
        }
    }

    /// Whether what is stored now is the winner's: `right`, or what is wrong.
    pub(super) async fn judge(&self, contest: Contest, round: u32, winner: &str) -> Result<String> {
        let key = format!("{contest}-{round}");
        let right = |is: bool, what: String| if is { "right".to_owned() } else { what };
        match contest {
            Contest::Take => {
                Ok(right(self.open.values.get(place(&key)).await?.is_none(), "it is still there".to_owned()))
            }
            Contest::Insert | Contest::Replace => {
                let entry = self.open.values.get(place(&key)).await?.context("it is there")?;
                let stored = String::from_utf8_lossy(&entry.value).into_owned();
                Ok(right(stored == winner, format!("{stored} is stored, {winner} was told")))
            }
            Contest::Code => {
                let grants = &self.repos()?.grants;
                let (code, grant) = grants.code(&hash(&key)).await?.context("the code is there")?;
                let minted = grants.refresh(&hash(&format!("{key}-{winner}"))).await?;
                let once = code.used_at.is_some() && grant.state == GrantState::Active;
                Ok(right(once && minted.is_some(), format!("{code:?} {grant:?}, minted: {}", minted.is_some())))
            }
            Contest::Rotation => {
                let grants = &self.repos()?.grants;
                let family = grants.refresh(&hash(&key)).await?.context("the token is there")?;
                let child = grants.refresh(&hash(&format!("{key}-{winner}"))).await?;
                let few = family.token.rotated_at.is_some() && family.children == SIBLINGS;
                Ok(right(
                    few && child.is_some(),
                    format!("{} children, the winner's: {}", family.children, child.is_some()),
                ))
            }
        }
    }

    fn repos(&self) -> Result<&Repos> {
        self.open.repos.as_ref().context("Redis has no grants")
    }

    fn id<K>(&self) -> Id<K> {
        Id::new(&*self.open.clock, &*self.open.entropy)
    }

    fn audit(&self, action: &str) -> AuditEvent {
        AuditEvent::new(&*self.open.clock, &*self.open.entropy, Actor::System, action, "race")
    }

    /// A tenant with a member and a live server.
    async fn settle(&self) -> Result<(User, Server)> {
        let (repos, now) = (self.repos()?, self.open.clock.now());
        let user = User {
            id: self.id(),
            handle: Some("alice".parse()?),
            name: "Alice".parse()?,
            email: None,
            operator: false,
            state: UserState::Active,
            created_at: now,
            session_epoch: 0,
        };
        let slug = "acme".parse()?;
        let tenant = Tenant { id: self.id(), slug, name: "Acme".parse()?, state: TenantState::Active, created_at: now };
        let revision = self.id();
        let server = Server {
            id: self.id(),
            tenant: tenant.id,
            slug: "echo".parse()?,
            name: "Echo".parse()?,
            state: ServerState::Live,
            live: Some(revision),
            created_at: now,
        };
        let revision = ServerRevision {
            id: revision,
            tenant: tenant.id,
            server: server.id,
            source: serde_json::from_value(serde_json::json!({ "kind": "builtin", "name": "demo" }))?,
            offer: None,
            created_by: None,
            created_at: now,
        };
        let member = Member { tenant: tenant.id, user: user.id, role: Role::Owner };
        repos.users.create(&user, None, &[], &self.audit("user.created")).await?;
        repos.tenants.create(&tenant, &[member], &self.audit("tenant.created").in_tenant(tenant.id)).await?;
        repos.servers.create(&server, &revision, &self.audit("server.created").in_tenant(tenant.id)).await?;
        Ok((user, server))
    }

    fn grant(&self, user: &User, server: &Server) -> Grant {
        let now = self.open.clock.now();
        Grant {
            id: self.id(),
            user: user.id,
            method: SignInMethod::Local,
            tenant: server.tenant,
            server: server.id,
            client_id: "racer".to_owned(),
            client_name: None,
            resource: Resource::new("https://portico.test", &"/t/acme/echo/mcp".parse().expect("a path")),
            scopes: ScopeSet::challenge(),
            state: GrantState::Pending,
            version: 1,
            created_at: now,
            last_used_at: None,
            expires_at: now + 24 * HOUR,
        }
    }

    fn code(grant: &Grant, hash: TokenHash) -> Code {
        Code {
            hash,
            grant: grant.id,
            redirect_uri: "http://127.0.0.1/callback".to_owned(),
            redirect_uri_sent: true,
            challenge: "challenge".to_owned(),
            expires_at: grant.created_at + HOUR,
            used_at: None,
            failures: 0,
        }
    }

    fn refresh(&self, grant: GrantId, hash: TokenHash, parent: Option<TokenHash>) -> Refresh {
        let now = self.open.clock.now();
        Refresh {
            hash,
            grant,
            parent,
            generation: u32::from(parent.is_some()),
            scopes: ScopeSet::challenge(),
            issued_at: now,
            expires_at: now + HOUR,
            token: Some(self.id()),
            used_at: None,
            rotated_at: None,
            superseded_at: None,
        }
    }
}

fn place(key: &str) -> Place<'_> {
    Place { owner: Owner::Platform, collection: PRIZES, key }
}

fn hash(of: &str) -> TokenHash {
    Sha256::digest(of).into()
}
