//! The page on which a person chooses an account, and what comes back from it.

use axum::{
    Form,
    extract::{FromRequest, Request},
    response::Html,
};
use http::{HeaderMap, Method, header::COOKIE};
use serde::Deserialize;

use super::Account;

/// What the page's form posts.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    /// The subject of an account, or nothing for "cancel".
    pub(super) account: String,
}

/// The choice in a request; a GET has made none.
pub(super) async fn choice(request: Request) -> Option<Choice> {
    if request.method() != Method::POST {
        return None;
    }
    Form::from_request(request, &()).await.ok().map(|Form(choice)| choice)
}

/// A page with a button per account. The form posts to the URL it came from.
pub(super) fn accounts(provider: &str, client: &str, accounts: &[Account]) -> Html<String> {
    let button = |account: &Account| {
        format!("<p><button name=account value='{}'>{} ({})</button>", account.subject, account.name, account.email)
    };
    let buttons: String = accounts.iter().map(button).collect();
    Html(format!(
        "<!doctype html><title>Sign in · {provider}</title><h1>{provider}</h1><p>to continue to {client}\
         <form method=post>{buttons}<p><button name=account value=''>Cancel</button></form>"
    ))
}

/// The value of a cookie.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split("; "));
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}
