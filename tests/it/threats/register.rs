//! The seventy threats, as data. The numbers are those by which tests, documents and code name them.

/// One of the threats.
pub(super) struct Threat {
    pub(super) number: usize,
    pub(super) title: &'static str,
    /// Where it was got wrong before us; empty if nowhere that we know of.
    pub(super) elsewhere: &'static str,
    pub(super) state: State,
}

/// What its tests show.
pub(super) enum State {
    /// That the defence holds.
    Defended,
    /// That the feature that would bring it is off: not there, and named nowhere.
    Later(&'static str),
}

const fn defended(number: usize, title: &'static str, elsewhere: &'static str) -> Threat {
    Threat { number, title, elsewhere, state: State::Defended }
}

const fn later(number: usize, feature: &'static str, title: &'static str, elsewhere: &'static str) -> Threat {
    Threat { number, title, elsewhere, state: State::Later(feature) }
}

/// All of them.
#[rustfmt::skip]
pub(super) const THREATS: &[Threat] = &[
    defended(1, "A confused deputy: a provider that skips its own consent hands a stranger's client a code", "FastMCP GHSA-c2jp-c369-7pvx; better-auth #4736"),
    defended(2, "An attacker consents and gives the victim the way to the provider", "FastMCP CVE-2026-27124; Dex CVE-2022-39222; ToolHive"),
    defended(3, "An error that comes back from a provider ends somebody else's request", "FastMCP"),
    defended(4, "A consent form sent from another site", "FastMCP #3519"),
    defended(5, "Parameters that change between the page and the decision", ""),
    defended(6, "Clickjacking", "FastMCP (policy in `meta` only)"),
    defended(7, "Markup in what a client says about itself", "FastMCP #3418"),
    defended(8, "Approval without a person: an authorization server in the middle, a borrowed loopback port", "FastMCP #3960"),
    defended(9, "Fixation of the session", "user fixation, S&P 2026"),
    defended(10, "Sign-in with somebody else's code and state", "many"),
    defended(11, "Mix-up of identity providers", "COAT, USENIX Security 2025; FastMCP"),
    defended(12, "A provider of one tenant that collects codes meant for another", "OAuth as a service, S&P 2026"),
    defended(13, "An intercepted code", "Cloudflare CVE-2025-4144; authentik CVE-2023-48228, CVE-2024-23647; better-auth #10637"),
    defended(14, "A redirect URI that is not looked at when the request comes", "Cloudflare CVE-2025-4143"),
    defended(15, "Tricks with the parser of redirect URIs", "FastMCP; fosite CVE-2020-15233, CVE-2020-15234; authentik CVE-2024-52289; Keycloak"),
    defended(16, "Redirects to `javascript:` and `data:`", "Cloudflare 0.0.7 to 0.0.13"),
    defended(17, "A code that another client redeems", ""),
    defended(18, "A code that is used twice", "Cloudflare before 0.8; MAS; FastMCP"),
    defended(19, "A code that is redeemed by many at once", "FastMCP; rauthy; ToolHive"),
    defended(20, "Refresh tokens: races that log people out, reuse that goes unnoticed", "FastMCP #4265, #4901; Keycloak CVE-2026-1035"),
    defended(21, "A restart that forgets which refresh tokens were used", "Keycloak CVE-2026-9802"),
    defended(22, "A refresh token that another client uses", ""),
    defended(23, "More scopes than were granted, at refresh or by changing a registration", ""),
    defended(24, "A token used at a resource that it is not for", "FastMCP CVE-2025-69196; Cloudflare (prefix match)"),
    defended(25, "The client's token passed on to the server behind", "forbidden by MCP"),
    defended(26, "No `resource`, or several: a token for too much", "FastMCP"),
    defended(27, "Confusion of algorithms and keys", "classic"),
    defended(28, "One kind of token used as another", "rauthy (`typ` \"JWT\")"),
    defended(29, "Claims of the wrong JSON type", "jsonwebtoken CVE-2026-25537"),
    defended(30, "A revocation that signed tokens do not hear of", "FastMCP"),
    defended(31, "A client that revokes another's tokens", "Cloudflare before 0.8"),
    defended(32, "Introspection as an oracle", ""),
    defended(33, "Requests into private networks: client metadata, keys, discovery", "FastMCP #4400, #4426; rauthy; Keycloak CVE-2020-10770"),
    defended(34, "Requests into private networks, or out of a path, by way of a tenant's server", "FastMCP CVE-2026-32871"),
    defended(35, "A client metadata document that speaks for another client", "FastMCP; workers-oauth-provider to 0.8.1"),
    defended(36, "A client metadata document that changes after consent", ""),
    defended(37, "Client metadata documents as a way to load others", ""),
    defended(38, "A flood of registrations", "FastMCP; rauthy"),
    defended(39, "A registration that asks for privileges", ""),
    defended(40, "Taking over a registration", "rauthy"),
    defended(41, "A client id that is somebody else's", "FastMCP"),
    defended(42, "A client assertion for another audience, or used twice", "Hydra CVE-2020-5300; fosite CVE-2020-15222"),
    later(43, "ID-JAG", "Misuse of identity assertions (ID-JAG)", ""),
    later(44, "DPoP", "Misuse of proofs of possession (DPoP)", "rauthy"),
    later(45, "pushed authorization requests", "Misuse of pushed authorization requests", "Keycloak CVE-2024-4540"),
    defended(46, "Parameters given twice", "Keycloak CVE-2026-9689; FastMCP (`iss`)"),
    defended(47, "The authorization server as an open redirector", "FastMCP"),
    defended(48, "Answers that a client's `state` breaks apart", "rauthy"),
    defended(49, "Codes and tokens in logs, referrers and caches", ""),
    defended(50, "Documents that a `Host` header changes", ""),
    defended(51, "Accounts linked by e-mail address or another claim that changes", "nOAuth; FusionAuth #2542; rauthy"),
    defended(52, "An ID token that is not verified", "rauthy"),
    defended(53, "An upstream token of another application", "classic"),
    defended(54, "Refreshes of a provider's token that burn each other", "GitHub Apps; FastMCP"),
    defended(55, "A provider that is away logs everybody out", "TypeScript SDK (reaction)"),
    defended(56, "Finding out which tenants and servers there are", ""),
    defended(57, "A removed member or a suspended tenant that keeps access", ""),
    defended(58, "A server behind that sends clients to an authorization server of its own", "modelcontextprotocol #1721"),
    defended(59, "A hostile authorization server whose client we are", "mcp-remote CVE-2025-6514; Inspector CVE-2025-49596, CVE-2025-58444"),
    defended(60, "A tenant's content on our origin", ""),
    defended(61, "Cookies of many flows that overflow a request", "FastMCP #3784"),
    defended(62, "Consent in two tabs", "FastMCP #4818"),
    defended(63, "`prompt=none` as a probe", ""),
    defended(64, "Errors of a store that are swallowed", "fosite CVE-2020-15223"),
    defended(65, "Handling of signing keys", ""),
    defended(66, "Comparing secrets takes a telling time", "rauthy"),
    defended(67, "A chain of redirects behind a form that a browser drops", "FastMCP #2302, #2305, #3369, #3372"),
    defended(68, "A redirect that repeats a form elsewhere", "OAuth 2.1 §7.5.4"),
    later(69, "the device flow", "Device codes: phishing and guessing", ""),
    defended(70, "Secrets that leak unnoticed", "FastMCP (codes in plain text)"),
];

/// Those whose tests are not written yet. Empty when all is done; a number goes when its test comes.
#[rustfmt::skip]
pub(super) const DUE: &[&[usize]] = &[
    // tokens and keys
    &[18, 19, 20, 21, 22, 23, 24, 27, 29, 30, 31, 32, 57, 64, 65],

    // machines
    &[25, 28, 42, 53, 66, 70],

    // people
    &[9, 10, 11, 12, 51, 52, 54, 55, 59],
];
