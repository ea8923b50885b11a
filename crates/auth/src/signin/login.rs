//! `/login`: a form for local accounts and a link for each connection of the platform.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use http_kit::{ClientAddress, Fields, Problem, Spent};
use serde_json::json;
use storage::repo::{Actor, ConnectionOwner, SignInMethod};
use url::form_urlencoded;

use super::ReturnPath;
use crate::{
    Auth,
    connect::{self, Purpose},
    refusal::refusal,
    session::BrowserSession,
};

pub(super) const PATH: &str = "/login";
pub(super) const CONNECTION_PATH: &str = "/login/{connection}";
/// What the page's CSRF token is for.
const FORM: &str = "login";
/// The one answer to whatever is wrong.
const WRONG: &str = "The e-mail address or the password is not right.";

#[derive(Template)]
#[template(path = "auth/login.html")]
struct Page<'a> {
    csrf: String,
    back: &'a str,
    email: &'a str,
    fault: Option<String>,
    signed_in: Option<&'a str>,
    providers: Vec<Provider>,
}

/// A link to an identity provider.
struct Provider {
    href: String,
    name: String,
}

/// The page. Who is signed in goes on at once, unless `again` asks for another account.
pub(super) async fn get(State(auth): State<Auth>, browser: BrowserSession, uri: Uri) -> Result<Response, Problem> {
    let fields = query(&uri)?;
    let back = ReturnPath::or_home(fields.text("return"));
    if browser.signed_in.is_some() && fields.get("again").is_none() {
        return Ok(Redirect::to(back.as_str()).into_response());
    }
    // Whom an application expects. It fills the field in, and decides nothing.
    page(&auth, browser, &back, fields.text("hint"), None).await
}

/// To a connection's provider.
pub(super) async fn connection(
    State(auth): State<Auth>,
    Path(callback): Path<String>,
    from: ClientAddress,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let return_to = ReturnPath::or_home(query(&uri)?.text("return"));
    let connection = connect::named(&auth, &callback).await?.ok_or_else(Problem::not_found)?;
    auth.attempts.depart(from).await?;
    connect::start(&auth, &connection, Purpose::SignIn { return_to }, &headers).await
}

/// A password.
pub(super) async fn post(
    State(auth): State<Auth>,
    from: ClientAddress,
    mut browser: BrowserSession,
    fields: Fields,
) -> Result<Response, Problem> {
    browser.check_csrf(FORM, fields.text("csrf"))?;
    let back = ReturnPath::or_home(fields.text("return"));
    let email = fields.text("email");
    let attempt = match auth.attempts.begin(email, from).await {
        Ok(attempt) => attempt,
        Err(Spent::Away(error)) => return Err(error.into()),
        Err(Spent::Wait(wait)) => return too_many(&auth, browser, &back, email, wait).await,
    };
    match auth.registry.authenticate_local(email, &fields.secret("password")).await {
        Ok(Some(user)) => {
            attempt.forgive();
            browser.begin(user, SignInMethod::Local).await?;
            Ok(browser.remember(Redirect::to(back.as_str())))
        }
        Ok(None) => {
            refused(&auth, from).await?;
            let page = page(&auth, browser, &back, email, Some(WRONG.to_owned())).await?;
            Ok((StatusCode::FORBIDDEN, page).into_response())
        }
        Err(error) => {
            attempt.forgive();
            Err(refusal(error))
        }
    }
}

/// Notes a refusal. Not what was typed: people type passwords into the wrong field.
async fn refused(auth: &Auth, from: ClientAddress) -> Result<(), Problem> {
    tracing::info!(client.address = %from, "a sign-in with a password was refused");
    let event = auth.audit(Actor::Anonymous, "sign-in.refused", "local").with(json!({ "address": from.to_string() }));
    Ok(auth.repos.audit.append(&event).await?)
}

async fn too_many(
    auth: &Auth,
    browser: BrowserSession,
    back: &ReturnPath,
    email: &str,
    wait: Duration,
) -> Result<Response, Problem> {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let fault = format!("There were too many attempts. Try again in {}.", in_words(seconds));
    let page = page(auth, browser, back, email, Some(fault)).await?;
    let seconds = HeaderValue::from_str(&seconds.to_string()).expect("digits are visible ASCII");
    Ok((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], page).into_response())
}

fn in_words(seconds: u128) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

fn query(uri: &Uri) -> Result<Fields, Problem> {
    Fields::of_query(uri).map_err(|_| Problem::bad_request("This address has a parameter twice."))
}

async fn page(
    auth: &Auth,
    browser: BrowserSession,
    back: &ReturnPath,
    email: &str,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let connections = auth.repos.connections.list(ConnectionOwner::Platform).await?;
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("return", back.as_str()).finish();
    let providers = connections.iter().filter(|connection| connection.enabled).map(|connection| Provider {
        href: format!("{PATH}/{}?{query}", connection.callback),
        name: connection.name.to_string(),
    });
    let page = Page {
        csrf: browser.csrf(FORM),
        back: back.as_str(),
        email,
        fault,
        signed_in: browser.signed_in.as_ref().map(|signed_in| signed_in.user.name.as_str()),
        providers: providers.collect(),
    };
    let page = page.render()?;
    Ok(browser.remember(Html(page)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_said_in_words() {
        assert_eq!(
            (in_words(1), in_words(60), in_words(91)),
            ("1 second".to_owned(), "60 seconds".to_owned(), "2 minutes".to_owned())
        );
    }
}
