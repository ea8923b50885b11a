//! What all pages of the console share: the frame's context, notices after a redirect, form inputs.

use askama::Template;
use auth::Browser;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::StatusCode;
use http_kit::Problem;

/// The context of `layout/console.html`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shell {
    /// Who is signed in.
    pub(crate) person: String,
    /// The token that every form of this page sends back.
    pub(crate) csrf: String,
    /// Which entry of the navigation this page belongs to: `tenants` or `grants`.
    pub(crate) here: &'static str,
    /// What just happened.
    pub(crate) notice: Option<Notice>,
}

impl Shell {
    /// The frame of a page for this person.
    pub(crate) fn new(browser: &Browser, here: &'static str, query: Option<&str>) -> Self {
        Self { person: browser.user.name.to_string(), csrf: browser.csrf(), here, notice: Done::of_query(query) }
    }
}

/// A line above the page that says what just happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// `good`, `bad`, `warn` or nothing.
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

/// What a write has done, carried over the redirect behind it as `?done=`. The query holds a word of this
/// list and the page a fixed sentence, so a link cannot put words into our mouth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    TenantCreated,
    WentLive,
    Discarded,
    SwitchedOff,
    SwitchedOn,
    Revoked,
    Saved,
    ClientBlocked,
    ClientUnblocked,
    ClientDeleted,
}

impl Done {
    const ALL: [Self; 10] = [
        Self::TenantCreated,
        Self::WentLive,
        Self::Discarded,
        Self::SwitchedOff,
        Self::SwitchedOn,
        Self::Revoked,
        Self::Saved,
        Self::ClientBlocked,
        Self::ClientUnblocked,
        Self::ClientDeleted,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::TenantCreated => "created",
            Self::WentLive => "live",
            Self::Discarded => "discarded",
            Self::SwitchedOff => "off",
            Self::SwitchedOn => "on",
            Self::Revoked => "revoked",
            Self::Saved => "saved",
            Self::ClientBlocked => "blocked",
            Self::ClientUnblocked => "unblocked",
            Self::ClientDeleted => "client-deleted",
        }
    }

    fn notice(self) -> Notice {
        let (title, text) = match self {
            Self::TenantCreated => ("The tenant is there.", "Next, register its first server."),
            Self::WentLive => ("The server is live.", "Give its URL to a client, with one of the ways below."),
            Self::Discarded => ("The draft was discarded.", ""),
            Self::SwitchedOff => ("The server is switched off.", "Clients that are connected are refused from now on."),
            Self::SwitchedOn => ("The server is switched on.", ""),
            Self::Revoked => ("The grant was revoked.", "The client is refused from its next request on."),
            Self::Saved => ("The settings are saved.", ""),
            Self::ClientBlocked => {
                ("The application is blocked.", "Its grants have ended; it is refused from its next request on.")
            }
            Self::ClientUnblocked => ("The application may ask again.", "What it had does not come back."),
            Self::ClientDeleted => ("The application was deleted.", "Its grants have ended."),
        };
        Notice { kind: "good", title, text }
    }

    /// The notice that a page's query asks for.
    pub(crate) fn of_query(query: Option<&str>) -> Option<Notice> {
        let word = query?.strip_prefix("done=")?;
        Self::ALL.into_iter().find(|done| done.word() == word).map(Self::notice)
    }

    /// 303 to `path`, which shows the notice (POST, redirect, GET).
    pub(crate) fn redirect(self, path: &str) -> Response {
        Redirect::to(&format!("{path}?done={}", self.word())).into_response()
    }
}

/// One input of a form: what was typed, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) value: String,
    pub(crate) fault: Option<String>,
}

impl Input {
    /// What was typed.
    pub(crate) fn new(value: &str) -> Self {
        Self { value: value.to_owned(), fault: None }
    }

    /// Reads the input as a value of the domain, and keeps the fault if it is none.
    pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Option<T> {
        match self.value.trim().parse() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.refuse(fault);
                None
            }
        }
    }

    /// Notes what is wrong, as a sentence.
    pub(crate) fn refuse(&mut self, fault: impl std::fmt::Display) {
        self.fault = Some(sentence(&fault.to_string()));
    }
}

/// `use an http address` → `Use an http address.`
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    first + chars.as_str() + end
}

/// A page.
pub(crate) fn page(template: &impl Template) -> Result<Response, Problem> {
    Ok(Html(template.render().map_err(Problem::internal)?).into_response())
}

/// A form that came back because of what was typed.
pub(crate) fn again(template: &impl Template) -> Result<Response, Problem> {
    let page = Html(template.render().map_err(Problem::internal)?);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

#[cfg(test)]
mod tests {
    use model::TenantSlug;

    use super::*;

    #[test]
    fn a_notice_is_ours_or_none() {
        for done in Done::ALL {
            assert_eq!(Done::of_query(Some(&format!("done={}", done.word()))), Some(done.notice()));
        }
        for other in [None, Some(""), Some("done="), Some("done=Send+money"), Some("x=1&done=live")] {
            assert_eq!(Done::of_query(other), None);
        }
    }

    #[test]
    fn a_fault_is_a_sentence() {
        let mut input = Input::new(" A b ");
        assert_eq!(input.parse::<TenantSlug>(), None);
        assert_eq!(input.fault.as_deref(), Some("Use 3 to 30 of a-z and 0-9, with single dashes inside."));
        assert_eq!(input.value, " A b ");
        assert!(Input::new(" acme ").parse::<TenantSlug>().is_some());
    }
}
