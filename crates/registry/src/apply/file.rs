use std::{
    collections::HashSet,
    fmt, fs,
    hash::Hash,
    path::{Path, PathBuf},
};

use model::{Name, Role, Secret, ServerSlug, Slug, TenantSlug, UpstreamSource};
use storage::repo::{ConnectionKind, Endpoints, RuleKind};
use url::Url;

use crate::{
    accounts::local_address,
    password,
    reader::{self, Fault, Faults, Item, Table},
    servers::check_source,
};

mod connection;

use self::connection::{connection, rule};

/// What a file declares, read and checked.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// People.
    pub users: Vec<DeclaredUser>,
    /// The platform's connections.
    pub connections: Vec<DeclaredConnection>,
    /// Tenants, with what they own.
    pub tenants: Vec<DeclaredTenant>,
}

/// A person.
#[derive(Clone, Debug)]
pub struct DeclaredUser {
    /// What files call the person.
    pub handle: Slug<2>,
    /// What pages call the person.
    pub name: Name,
    /// Their address; what they sign in with if there is a password.
    pub email: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// Whether they run the installation.
    pub operator: bool,
    /// Whether they may not sign in; `None` leaves that as it is.
    pub blocked: Option<bool>,
    /// What they sign in with through connections: (connection, subject).
    pub identities: Vec<(String, String)>,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct DeclaredConnection {
    /// What files call it.
    pub slug: Slug<2>,
    /// What is at the other end.
    pub kind: ConnectionKind,
    /// What pages call it.
    pub name: Name,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// Where it is.
    pub endpoints: Endpoints,
}

/// Who becomes a member by signing in.
#[derive(Clone, Debug)]
pub struct DeclaredRule {
    /// Through which connection: its callback segment, as identities have it.
    pub connection: String,
    /// What is looked at.
    pub kind: RuleKind,
    /// What has to be found there, as it was written.
    pub value: String,
    /// As what.
    pub role: Role,
}

/// A tenant.
#[derive(Clone, Debug)]
pub struct DeclaredTenant {
    /// Its name in URLs.
    pub slug: TenantSlug,
    /// What pages call it.
    pub name: Name,
    /// Its members, by handle.
    pub members: Vec<(Slug<2>, Role)>,
    /// Its connections.
    pub connections: Vec<DeclaredConnection>,
    /// Who becomes a member by signing in.
    pub rules: Vec<DeclaredRule>,
    /// Its servers.
    pub servers: Vec<DeclaredServer>,
}

/// A server.
#[derive(Clone, Debug)]
pub struct DeclaredServer {
    /// Its name in URLs.
    pub slug: ServerSlug,
    /// What pages call it.
    pub name: Name,
    /// Where answers come from.
    pub source: UpstreamSource,
}

/// A file cannot be used.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// All that is wrong with it.
    pub faults: Vec<Fault>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be applied:", self.path.display())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for FileError {}

impl File {
    /// Reads a file and the secrets it names; paths in it are relative to it.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let fail = |faults| FileError { path: path.to_owned(), faults };
        let text = fs::read_to_string(path).map_err(|error| {
            fail(vec![Fault { line: None, key: String::new(), message: format!("cannot be read: {error}") }])
        })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(fail)
    }

    /// Reads a text; paths in it are relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<Fault>> {
        let faults = Faults::of(text);
        let mut root = Table::root(reader::parse(text, &faults), &faults);
        let file = Self {
            users: root.tables("user").into_iter().filter_map(|table| user(table, base)).collect(),
            connections: root.tables("connection").into_iter().filter_map(|table| connection(table, base)).collect(),
            tenants: root.tables("tenant").into_iter().filter_map(|table| tenant(table, base)).collect(),
        };
        file.check_unique(&root);
        root.finish();
        let faults = faults.into_vec();
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }

    /// Names that may stand once only.
    fn check_unique(&self, root: &Table<'_>) {
        unique(root, "user", "name", self.users.iter().map(|user| &user.handle));
        unique(
            root,
            "user",
            "email",
            self.users
                .iter()
                .filter(|user| user.password.is_some())
                .map(|user| user.email.as_deref().unwrap_or_default()),
        );
        unique(root, "connection", "id", self.connections.iter().map(|connection| &connection.slug));
        unique(root, "tenant", "slug", self.tenants.iter().map(|tenant| &tenant.slug));
        unique(
            root,
            "user",
            "identities",
            self.users
                .iter()
                .flat_map(|user| &user.identities)
                .map(|(connection, subject)| format!("{connection} {subject}")),
        );
        for tenant in &self.tenants {
            let of = |part: &str| format!("tenant \"{}\", {part}", tenant.slug);
            unique(root, &of("server"), "slug", tenant.servers.iter().map(|server| &server.slug));
            unique(root, &of("connection"), "id", tenant.connections.iter().map(|connection| &connection.slug));
            unique(root, &of("members"), "user", tenant.members.iter().map(|(user, _)| user));
        }
    }
}

fn unique<T: Eq + Hash + fmt::Display>(root: &Table<'_>, of: &str, key: &str, all: impl Iterator<Item = T>) {
    let mut seen = HashSet::new();
    for value in all {
        let text = value.to_string();
        if !seen.insert(value) {
            root.fault(of, format!("{key} \"{text}\" is there twice"));
        }
    }
}

fn user(mut table: Table<'_>, base: &Path) -> Option<DeclaredUser> {
    let handle = table.required::<Slug<2>>("name");
    let name = table.optional::<Name>("display_name");
    let email = table.take("email").and_then(|item| checked(item, |text| local_address(&text)));
    let has_password = table.take("password_file").map(|item| {
        let fault = item.place();
        let password = secret_file(item, base)?;
        password::check_length(&password).map_err(|error| fault.add(reason(&error))).ok()?;
        Some(password)
    });
    let password = has_password.flatten();
    if password.is_some() && email.is_none() {
        table.fault("email", "is missing: the password needs an address to sign in with");
    }
    let operator = table.flag("operator");
    let blocked = table.take("blocked").and_then(Item::boolean);
    let identities = table.tables("identities").into_iter().filter_map(identity).collect();
    table.finish();
    let handle = handle?;
    let name = match name {
        Some(name) => name,
        None => handle.as_str().parse().ok()?,
    };
    Some(DeclaredUser { handle, name, email, password, operator, blocked, identities })
}

fn identity(mut table: Table<'_>) -> Option<(String, String)> {
    let (connection, subject) = (table.required::<String>("connection"), table.required::<String>("subject"));
    if subject.as_ref().is_some_and(String::is_empty) {
        table.fault("subject", "is empty");
    }
    table.finish();
    Some((connection?, subject?))
}

fn tenant(mut table: Table<'_>, base: &Path) -> Option<DeclaredTenant> {
    let slug = table.required::<TenantSlug>("slug");
    let name = table.optional::<Name>("name");
    let members = table.tables("members").into_iter().filter_map(|mut table| {
        let (user, role) = (table.required::<Slug<2>>("user"), table.required::<Role>("role"));
        table.finish();
        Some((user?, role?))
    });
    let members = members.collect();
    let connections = table.tables("connection").into_iter().filter_map(|table| connection(table, base)).collect();
    let rules = table.tables("rule").into_iter().filter_map(rule).collect();
    let servers = table.tables("server").into_iter().filter_map(server).collect();
    table.finish();
    let slug = slug?;
    let name = name.or_else(|| slug.as_str().parse().ok())?;
    Some(DeclaredTenant { slug, name, members, connections, rules, servers })
}

fn server(mut table: Table<'_>) -> Option<DeclaredServer> {
    let slug = table.required::<ServerSlug>("slug");
    let name = table.optional::<Name>("name");
    let source = if let Some(item) = table.take("upstream") {
        item.table().and_then(upstream)
    } else {
        table.fault("upstream", "is missing");
        None
    };
    table.finish();
    let slug = slug?;
    let name = name.or_else(|| slug.as_str().parse().ok())?;
    Some(DeclaredServer { slug, name, source: source? })
}

fn upstream(mut table: Table<'_>) -> Option<UpstreamSource> {
    let kind = table.required::<String>("kind")?;
    let source = match kind.as_str() {
        "http" => table.required::<Url>("url").map(|url| UpstreamSource::Http { url }),
        "builtin" => table.required::<String>("name").map(|name| UpstreamSource::Builtin { name: name.into() }),
        _ => {
            table.fault("kind", format!("\"{kind}\" is not known; use http or builtin"));
            return None;
        }
    };
    if let Some(Err(error)) = source.as_ref().map(check_source) {
        table.fault("url", reason(&error));
    }
    table.finish();
    source
}

/// Reads a secret from the file that `item` names, without the line end that editors add.
fn secret_file(item: Item<'_>, base: &Path) -> Option<Secret> {
    let place = item.place();
    let path = base.join(item.text()?);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim_end_matches(['\r', '\n']).is_empty() => {
            place.add(format!("{} is empty", path.display()));
            None
        }
        Ok(text) => {
            let text = zeroize::Zeroizing::new(text);
            Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        Err(error) => {
            place.add(format!("{} cannot be read: {error}", path.display()));
            None
        }
    }
}

fn checked(item: Item<'_>, check: impl FnOnce(String) -> crate::Result<String>) -> Option<String> {
    let place = item.place();
    check(item.text()?).map_err(|error| place.add(reason(&error))).ok()
}

fn http_address(text: String) -> crate::Result<String> {
    let legal = Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if legal { Ok(text) } else { Err(crate::Error::invalid("url", "use an http or https address")) }
}

/// A rule's message without the form field's name: the key stands in front already.
fn reason(error: &crate::Error) -> String {
    match error {
        crate::Error::Invalid { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}
