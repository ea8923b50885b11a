//! `/logout`: ends the session.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse as _, Redirect, Response},
};
use http_kit::{Fields, Problem};

use crate::{
    Auth,
    session::{Browser, BrowserSession},
};

pub(super) const PATH: &str = "/logout";

#[derive(Template)]
#[template(path = "auth/signed_out.html")]
struct Page {
    /// Who is still signed in, with the token of the form that ends it.
    signed_in: Option<(String, String)>,
}

/// Says that nobody is signed in, or offers to sign out.
pub(super) async fn get(State(_): State<Auth>, browser: Option<Browser>) -> Result<Html<String>, Problem> {
    let signed_in = browser.map(|browser| (browser.user.name.to_string(), browser.csrf()));
    Ok(Html(Page { signed_in }.render()?))
}

/// Signs out. Without a session there is nothing to protect, and nothing to do.
pub(super) async fn post(
    State(_): State<Auth>,
    browser: Option<Browser>,
    mut session: BrowserSession,
    fields: Fields,
) -> Result<Response, Problem> {
    if let Some(browser) = browser {
        browser.check_csrf(fields.text("csrf"))?;
        session.end().await?;
        tracing::info!(user.id = %browser.user.id, session.id = %browser.session, "signed out");
    }
    Ok(Redirect::to(PATH).into_response())
}
