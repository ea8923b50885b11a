//! Cookies: reading them from a request and writing `Set-Cookie`.

use std::{fmt::Write as _, time::Duration};

use http::{HeaderMap, HeaderValue, header};

/// The cookies of a request, in the order the browser sent them.
pub fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// The value of a cookie. Of several with one name, which an attacker on a sibling host can cause where
/// there is no `__Host-` prefix, the first.
pub fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    all(headers).find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
}

/// A `Set-Cookie` value: `HttpOnly`, `SameSite=Lax`, `Path=/`, no `Domain`; `Secure` for names with the
/// `__Host-` prefix, which demands it. `None` for `max_age` means until the browser closes.
pub fn set(name: &str, value: &str, max_age: Option<Duration>) -> HeaderValue {
    let mut text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(age) = max_age {
        write!(text, "; Max-Age={}", age.as_secs()).expect("writing to a string cannot fail");
    }
    if name.starts_with("__Host-") {
        text.push_str("; Secure");
    }
    HeaderValue::from_str(&text).expect("names and values of our cookies are visible ASCII")
}

/// A `Set-Cookie` value that removes a cookie.
pub fn clear(name: &str) -> HeaderValue {
    set(name, "", Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_headers_and_takes_the_first() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=2;c=x=y"));
        headers.append(header::COOKIE, HeaderValue::from_static("a=9; d=4"));
        assert_eq!(get(&headers, "a"), Some("1"));
        assert_eq!(get(&headers, "c"), Some("x=y"));
        assert_eq!(get(&headers, "d"), Some("4"));
        assert_eq!(get(&headers, "A"), None);
    }

    #[test]
    fn host_cookies_are_secure() {
        assert_eq!(
            set("__Host-portico", "v", Some(Duration::from_mins(1))),
            "__Host-portico=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
        assert_eq!(clear("portico"), "portico=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
