use std::time::Duration;

use http_kit::Limit;
use storage::repo::PolicyMode;

use crate::{IssuerMode, KeyRules, SigningAlgorithm};

/// What an installation may set about sign-in and the authorization server.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// How many issuers there are.
    pub issuers: IssuerMode,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// How signing keys live.
    pub keys: KeyRules,
    /// Which clients may be metadata documents.
    pub documents: DocumentRules,
    /// How many clients may register themselves.
    pub registration: RegistrationLimits,
    /// Redirect URIs of schemes without a period that clients may register, each whole. OAuth 2.1 §2.3.1
    /// wants a period in such schemes, and well-known clients have none.
    pub private_redirects: Vec<String>,
    /// How many token requests one address may make.
    pub token_requests: Limit,
    /// How many authorization requests one address may begin. Each is kept until it is decided or expires,
    /// and anybody may begin one.
    pub authorizations: Limit,
}

/// How long things live. All may be set down to seconds, which tests do.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An access token. Revocation does not wait for it.
    pub access: Duration,
    /// An authorization code.
    pub code: Duration,
    /// A refresh token that is not used.
    pub refresh_idle: Duration,
    /// A grant, from consent to its end, however much it is used.
    pub grant: Duration,
    /// How long a replaced refresh token still works, because clients race. Zero: not at all.
    pub refresh_grace: Duration,
    /// How long a replaced refresh token still works if nothing that it was replaced by was ever used, because
    /// answers get lost.
    pub refresh_lost: Duration,
    /// From the authorization request to the person's decision.
    pub transaction: Duration,
    /// A browser session that is not used.
    pub session_idle: Duration,
    /// A browser session, from sign-in to its end.
    pub session: Duration,
    /// The set-up link.
    pub setup: Duration,
    /// A self-registered client that nobody has consented to.
    pub client_unused: Duration,
    /// A self-registered client since its last use.
    pub client_used: Duration,
}

/// How many clients may register themselves (RFC 7591).
#[derive(Clone, Copy, Debug)]
pub struct RegistrationLimits {
    /// Whether any may.
    pub open: bool,
    /// By one /24 of IPv4 or one /56 of IPv6.
    pub per_address: Limit,
    /// By everybody.
    pub global: Limit,
    /// Alive at the same time, in the installation. When they are that many, new ones take the places of those
    /// that were never used.
    pub alive: u64,
    /// How long one that was never used keeps its place: a person may be reading the consent page.
    pub spared: Duration,
}

/// Which clients may be metadata documents (CIMD).
#[derive(Clone, Debug)]
pub struct DocumentRules {
    /// Whether any may, or those of some hosts.
    pub mode: PolicyMode,
    /// The hosts, with [`PolicyMode::Allowlist`].
    pub hosts: Vec<String>,
    /// Redirect URIs, each whole, that a document on any host may have besides its own and loopback ones.
    pub redirects: Vec<String>,
    /// Whether documents may be on `localhost`, which only developers of clients want.
    pub local: bool,
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuers: IssuerMode::default(),
            lifetimes: Lifetimes::default(),
            keys: KeyRules { algorithm: SigningAlgorithm::default(), every: 30 * DAY },
            documents: DocumentRules::default(),
            registration: RegistrationLimits::default(),
            private_redirects: vec!["cursor://anysphere.cursor-mcp/oauth/callback".to_owned()],
            token_requests: Limit { burst: 600, every: Duration::from_millis(100) },
            authorizations: Limit { burst: 300, every: Duration::from_millis(500) },
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access: HOUR,
            code: MINUTE,
            refresh_idle: 30 * DAY,
            grant: 90 * DAY,
            refresh_grace: 2 * MINUTE,
            refresh_lost: DAY,
            transaction: 10 * MINUTE,
            session_idle: 12 * HOUR,
            session: 7 * DAY,
            setup: 30 * MINUTE,
            client_unused: DAY,
            client_used: 90 * DAY,
        }
    }
}

impl Default for RegistrationLimits {
    fn default() -> Self {
        Self {
            open: true,
            per_address: Limit { burst: 60, every: MINUTE },
            global: Limit { burst: 2_000, every: Duration::from_secs(43) },
            alive: 10_000,
            spared: HOUR,
        }
    }
}

impl Default for DocumentRules {
    fn default() -> Self {
        Self {
            mode: PolicyMode::Open,
            hosts: Vec::new(),
            // VS Code's document is on vscode.dev, and its other edition has a page of its own.
            redirects: vec!["https://insiders.vscode.dev/redirect".to_owned()],
            local: false,
        }
    }
}
