//! OpenID Connect: who somebody is, a signed token says.

use oauth2::AuthType;
use registry::{Claims, Facts, Wanted};
use serde::Deserialize;
use serde_json::{Map, Value};
use storage::repo::Connection;

use super::{
    entra,
    error::ConnectError,
    exchange::{Tokens, get_json},
    id_token::{self, Expected, IdClaims, Rejected},
    issuer::{Issuer, Metadata},
    provider::OauthEndpoints,
};
use crate::Auth;

/// Google's issuer.
pub(super) const GOOGLE: &str = "https://accounts.google.com";
/// The usual name of the claim with somebody's groups.
const GROUPS: &str = "groups";
/// How many groups of a person are looked at.
const MOST_GROUPS: usize = 1000;

/// In what providers of OpenID Connect differ.
#[derive(Debug)]
pub(super) enum Dialect {
    /// As the specification has it.
    Plain {
        /// The claim with the groups, if it is not the usual one.
        groups: Option<String>,
    },
    /// Google: its tokens have two spellings of the issuer, and only the Workspace's domain says whose an
    /// address is now.
    Google,
    /// Microsoft Entra ID: see [`entra`].
    Entra {
        /// Whose people may sign in.
        directories: Vec<String>,
    },
}

impl Dialect {
    /// What tokens and answers may call the issuer that names itself `named` in its metadata.
    pub(super) fn issuers(&self, named: &str) -> Vec<String> {
        match self {
            Self::Entra { directories } => entra::issuers(named, directories),
            // Google documents both spellings for its tokens.
            Self::Google if named == GOOGLE => vec![GOOGLE.to_owned(), "accounts.google.com".to_owned()],
            Self::Plain { .. } | Self::Google => vec![named.to_owned()],
        }
    }

    fn subject(&self, claims: &IdClaims) -> Result<String, ConnectError> {
        match self {
            Self::Entra { .. } => entra::subject(claims),
            Self::Plain { .. } | Self::Google => Ok(claims.sub.clone()),
        }
    }

    /// Whether the provider vouches for the address.
    fn vouches(&self, claims: &IdClaims) -> bool {
        claims.email.is_some()
            && match self {
                Self::Entra { .. } => entra::owns_domain(claims),
                Self::Plain { .. } | Self::Google => is_true(claims.email_verified.as_ref()),
            }
    }

    /// What rules look at.
    fn facts(&self, claims: &IdClaims) -> Facts {
        let vouched = claims.email.as_deref().filter(|_| self.vouches(claims));
        let mut facts = match self {
            // An address that was checked once may belong to an account that nobody manages, of somebody who
            // has left; the Workspace that manages the account is named in `hd`.
            Self::Google => {
                let workspace = claims.rest.get("hd").and_then(Value::as_str);
                Facts::of_domain(workspace.filter(|_| vouched.is_some()))
            }
            Self::Plain { .. } | Self::Entra { .. } => Facts::of_address(vouched),
        };
        let groups = claims.rest.get(self.groups_claim());
        let one = groups.and_then(Value::as_str).into_iter();
        let many = groups.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        one.chain(many).take(MOST_GROUPS).for_each(|group| facts.add_group(group));
        facts
    }

    fn groups_claim(&self) -> &str {
        match self {
            Self::Plain { groups: Some(claim) } => claim,
            Self::Plain { groups: None } | Self::Google | Self::Entra { .. } => GROUPS,
        }
    }
}

/// Where an issuer is used. We prove ourselves with Basic unless the issuer wants the secret in the form.
pub(super) fn endpoints(metadata: &Metadata) -> OauthEndpoints {
    let supports = |method: &str| metadata.auth_methods.as_ref().is_some_and(|all| all.iter().any(|one| one == method));
    let in_form = supports("client_secret_post") && !supports("client_secret_basic");
    OauthEndpoints {
        authorize: metadata.authorize.clone(),
        token: metadata.token.clone(),
        auth: if in_form { AuthType::RequestBody } else { AuthType::BasicAuth },
    }
}

/// What came back from the provider, and what we remember of having asked.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) tokens: &'a Tokens,
    pub(super) nonce: &'a str,
    pub(super) wanted: Wanted,
}

/// Who the tokens are about.
pub(super) async fn identity(
    auth: &Auth,
    connection: &Connection,
    issuer: &Issuer,
    dialect: &Dialect,
    told: Told<'_>,
) -> Result<Claims, ConnectError> {
    let mut claims = verified(auth, connection, issuer, dialect, told).await?;
    let groups_missing = told.wanted.groups && !claims.rest.contains_key(dialect.groups_claim());
    if let Some(userinfo) = &issuer.metadata.userinfo
        && !matches!(dialect, Dialect::Entra { .. })
        && (claims.name.is_none() || claims.email.is_none() || groups_missing)
    {
        let more = get_json(&auth.outbound, userinfo.as_str(), Some(&told.tokens.access), "userinfo endpoint").await;
        complete(&mut claims, more, groups_missing)?;
    }
    if groups_missing && claims.rest.contains_key("_claim_names") {
        // Too many to stand in the token; we do not go where it points.
        tracing::warn!(connection.id = %connection.id, "a token leaves out groups: rules about groups do not hold");
    }
    let subject = dialect.subject(&claims)?;
    let (email_verified, facts) = (dialect.vouches(&claims), dialect.facts(&claims));
    let name = claims.name.or(claims.preferred_username);
    Ok(Claims { subject, name, email: claims.email, email_verified, facts })
}

/// The claims of the identity token, if it is to be believed.
async fn verified(
    auth: &Auth,
    connection: &Connection,
    issuer: &Issuer,
    dialect: &Dialect,
    told: Told<'_>,
) -> Result<IdClaims, ConnectError> {
    let token = told.tokens.id.as_ref().ok_or(ConnectError::Untrusted("there is no identity token"))?;
    let expected = Expected {
        issuers: &dialect.issuers(&issuer.metadata.issuer),
        client_id: &connection.client_id,
        nonce: told.nonce,
        access_token: &told.tokens.access,
        algorithms: issuer.metadata.algorithms.as_deref(),
        now: auth.clock.now(),
    };
    let keys = issuer.keys(&auth.outbound, false).await?;
    let verified = match id_token::verify(token, &keys, &expected) {
        // The issuer may have changed its keys since we looked.
        Err(Rejected::UnknownKey) => {
            let keys = issuer.keys(&auth.outbound, true).await?;
            id_token::verify(token, &keys, &expected)
        }
        verified => verified,
    };
    verified.map_err(|rejected| ConnectError::Untrusted(rejected.reason()))
}

/// What the userinfo endpoint says (OpenID Connect Core §5.3.2).
#[derive(Deserialize)]
struct Userinfo {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Adds what the token left out. An endpoint that is away costs a name, not the sign-in, unless groups were to
/// be had there: not to know them is not to have none. One that speaks of somebody else ends it.
fn complete(
    claims: &mut IdClaims,
    more: Result<Userinfo, ConnectError>,
    groups_missing: bool,
) -> Result<(), ConnectError> {
    let more = match more {
        Ok(more) => more,
        Err(error) if groups_missing => return Err(error),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a person is signed in without name or address");
            return Ok(());
        }
    };
    if more.sub != claims.sub {
        return Err(ConnectError::Untrusted("the userinfo endpoint speaks of somebody else"));
    }
    claims.name = claims.name.take().or(more.name);
    claims.preferred_username = claims.preferred_username.take().or(more.preferred_username);
    if claims.email.is_none() {
        // The address and whether it was checked come from one place.
        (claims.email, claims.email_verified) = (more.email, more.email_verified);
    }
    for (name, value) in more.rest {
        claims.rest.entry(name).or_insert(value);
    }
    Ok(())
}

/// Some providers write `"true"`.
fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value == &Value::Bool(true) || value == "true")
}
