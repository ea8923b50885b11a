//! Microsoft Entra ID: OpenID Connect, where one set of endpoints may serve many directories.
//!
//! - A person is a directory (`tid`) and an object in it (`oid`): for good, and the same for all our
//!   applications. `sub` is another one for each application; `email`, `upn` and `preferred_username` can be
//!   set by whoever runs any directory, and say nothing (nOAuth).
//! - The metadata of `common` and `organizations` name an issuer with `{tenantid}` in it. Which directories may
//!   stand there is the connection's to say.

use serde_json::Value;
use storage::repo::Endpoints;
use url::Url;

use super::{error::ConnectError, id_token::IdClaims};

/// What stands for a directory in the metadata of those who serve many.
const PLACEHOLDER: &str = "{tenantid}";

/// The issuer as metadata of many directories have it; `None` for the issuer of one directory.
pub(super) fn template(issuer: &str) -> Option<String> {
    let first = first_segment(issuer)?;
    matches!(first.as_str(), "common" | "organizations")
        .then(|| issuer.replacen(&format!("/{first}/"), &format!("/{PLACEHOLDER}/"), 1))
}

/// The directories whose people may sign in.
pub(super) fn directories(known: &Endpoints) -> Result<Vec<String>, ConnectError> {
    let issuer = known.issuer.as_deref().unwrap_or_default();
    let own = first_segment(issuer).filter(|_| template(issuer).is_none());
    let all: Vec<String> = own.into_iter().chain(known.directories.iter().map(|id| id.to_lowercase())).collect();
    if all.is_empty() {
        return Err(ConnectError::Misconfigured(
            "an issuer of many directories needs a list of those that may sign in",
        ));
    }
    Ok(all)
}

fn first_segment(issuer: &str) -> Option<String> {
    Some(Url::parse(issuer).ok()?.path_segments()?.next()?.to_owned()).filter(|segment| !segment.is_empty())
}

/// What tokens may call their issuer.
pub(super) fn issuers(named: &str, directories: &[String]) -> Vec<String> {
    if named.contains(PLACEHOLDER) {
        directories.iter().map(|directory| named.replacen(PLACEHOLDER, directory, 1)).collect()
    } else {
        vec![named.to_owned()]
    }
}

/// Who a token is about. Its directory has to be the one that its issuer names.
pub(super) fn subject(claims: &IdClaims) -> Result<String, ConnectError> {
    let text = |name: &str| claims.rest.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(directory), Some(object)) = (text("tid"), text("oid")) else {
        return Err(ConnectError::Untrusted("the identity token names no directory or no object in it"));
    };
    if !claims.iss.split('/').any(|segment| segment == directory) {
        return Err(ConnectError::Untrusted("the identity token is of another directory than its issuer"));
    }
    Ok(format!("{directory}.{object}"))
}

/// Whether the directory has proved that the address's domain is its own: the optional claim `xms_edov`.
pub(super) fn owns_domain(claims: &IdClaims) -> bool {
    match claims.rest.get("xms_edov") {
        Some(Value::Bool(owns)) => *owns,
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        Some(Value::String(text)) => matches!(text.as_str(), "1" | "true"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "https://login.microsoftonline.com/common/v2.0";
    const ONE: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";

    fn of(issuer: &str, directories: &[&str]) -> Result<Vec<String>, ConnectError> {
        let directories = directories.iter().map(|&id| id.to_owned()).collect();
        super::directories(&Endpoints { issuer: Some(issuer.to_owned()), directories, ..Endpoints::default() })
    }

    #[test]
    fn many_directories_need_a_list() {
        assert_eq!(template(COMMON).as_deref(), Some("https://login.microsoftonline.com/{tenantid}/v2.0"));
        assert_eq!(template(ONE), None);
        assert!(of(COMMON, &[]).is_err());
        assert_eq!(of(COMMON, &["ABC"]).unwrap(), ["abc"]);
        assert_eq!(of(ONE, &[]).unwrap(), ["9188040d-6c67-4c5b-b112-36a304b66dad"]);
    }

    #[test]
    fn issuers_are_those_of_the_list() {
        let listed = ["a".to_owned(), "b".to_owned()];
        let template = template(COMMON).unwrap();
        let wanted = ["https://login.microsoftonline.com/a/v2.0", "https://login.microsoftonline.com/b/v2.0"];
        assert_eq!(issuers(&template, &listed), wanted);
        assert_eq!(issuers(ONE, &listed), [ONE]);
    }
}
