//! How values of the domain read on a page.

use model::{Role, Scope, ScopeSet, Timestamp};
use storage::repo::ServerState;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none] [month repr:short] [year]");

/// A state in a word, with the look of the stylesheet's `.badge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Badge {
    pub(crate) text: &'static str,
    /// One of `good`, `warn`, `bad`, `plain`.
    pub(crate) kind: &'static str,
}

/// A moment: for machines, and as people say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) iso: String,
    pub(crate) text: String,
}

/// A moment as seen from `now`: "5 minutes ago" within a day, the date otherwise. Pages are not kept, so
/// the distance does not go stale.
pub(crate) fn when(at: Timestamp, now: Timestamp) -> When {
    let minutes = now.since(at).as_secs() / 60;
    let text = match minutes {
        0 => "just now".to_owned(),
        1 => "1 minute ago".to_owned(),
        2..60 => format!("{minutes} minutes ago"),
        60..120 => "1 hour ago".to_owned(),
        120..1440 => format!("{} hours ago", minutes / 60),
        _ => day(at),
    };
    When { iso: at.to_string(), text }
}

fn day(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(at.seconds())
        .ok()
        .and_then(|at| at.format(DAY).ok())
        .unwrap_or_else(|| at.to_string())
}

/// A number, with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Where a server is in its life.
pub(crate) fn state(state: ServerState) -> Badge {
    match state {
        ServerState::Draft => Badge { text: "draft", kind: "warn" },
        ServerState::Live => Badge { text: "live", kind: "good" },
        ServerState::Disabled => Badge { text: "off", kind: "plain" },
    }
}

/// What a role may do, on top of the one before it.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "see servers, not call them",
        Role::Member => "use servers",
        Role::Developer => "register and change servers",
        Role::Admin => "also manage members, connections and settings",
        Role::Owner => "do everything",
    }
}

/// What a set of scopes allows, a sentence each, in the words of the consent page. A scope of a server's
/// own is named as it is.
pub(crate) fn scopes(scopes: &ScopeSet) -> Vec<String> {
    let sentence = |scope: &Scope| match scope.as_str() {
        Scope::READ => "See what the server offers, read its resources and use its prompts".to_owned(),
        Scope::TOOLS => "Call its tools in your name, also those that change or delete things".to_owned(),
        Scope::OFFLINE => "Keep this access while you are away".to_owned(),
        other => format!("Use the permission “{other}” of the server"),
    };
    scopes.iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_read_as_people_say_them() {
        let now = Timestamp::from_seconds(1_795_181_820);
        let text = |seconds| when(now - Duration::from_secs(seconds), now).text;
        assert_eq!(text(59), "just now");
        assert_eq!(text(60), "1 minute ago");
        assert_eq!(text(59 * 60), "59 minutes ago");
        assert_eq!(text(60 * 60), "1 hour ago");
        assert_eq!(text(23 * 3600 + 3599), "23 hours ago");
        assert_eq!(text(24 * 3600), "19 Nov 2026");
        // A clock that runs behind the writer's.
        assert_eq!(when(now + Duration::from_mins(1), now).text, "just now");
    }

    #[test]
    fn every_scope_is_a_sentence() {
        let text = |set: &str| scopes(&set.parse().unwrap());
        assert_eq!(text("mcp:read"), ["See what the server offers, read its resources and use its prompts"]);
        assert_eq!(
            text("offline_access mcp:tools"),
            [
                "Call its tools in your name, also those that change or delete things",
                "Keep this access while you are away"
            ]
        );
        assert_eq!(text("files:write"), ["Use the permission “files:write” of the server"]);
    }
}
