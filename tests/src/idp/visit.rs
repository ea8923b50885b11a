use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

/// A person without a browser: opens a provider's page and chooses the account with this subject; none cancels.
/// Where the provider sends the browser then.
///
/// # Panics
/// If the provider does not send it anywhere.
pub async fn choose(page: &str, subject: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    // Providers show themselves to browsers at `localhost`, which is an address here.
    let page = page.replace("http://localhost:", "http://127.0.0.1:");
    let request = Request::post(page)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(format!("account={subject}")))
        .expect("a request");
    let response = client.request(request).await.expect("the provider answers");
    let location = response.headers().get(header::LOCATION).cloned();
    let body = response.into_body().collect().await.expect("a whole answer").to_bytes();
    let location = location.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&body)));
    location.to_str().expect("a URL is ASCII").to_owned()
}
