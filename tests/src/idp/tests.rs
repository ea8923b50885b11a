//! That the providers have the quirks they are there for.

mod github;
mod google;

use std::{sync::Arc, time::Duration};

use model::{Clock, Entropy, ManualClock, SeededEntropy, Timestamp};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;

use super::{Account, Registration};

const CALLBACK: &str = "http://127.0.0.1:8080/oauth/callback/idp";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CREDENTIALS: &str = "client_id=portico&client_secret=hush";

fn registration() -> Registration {
    let (id, secret) = ("portico".to_owned(), "hush".to_owned());
    Registration { client_id: id, client_secret: secret, redirect_uri: CALLBACK.to_owned() }
}

fn parts() -> (Arc<ManualClock>, Arc<dyn Entropy>) {
    (Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820))), Arc::new(SeededEntropy::new(7)))
}

fn bob() -> Vec<Account> {
    vec![Account::new(1001, "bob")]
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name);
        line.map(|(_, value)| value)
    }

    /// The query of the address that the browser is sent to.
    fn sent_to(&self) -> (String, Vec<(String, String)>) {
        let url =
            Url::parse(self.header("location").unwrap_or_else(|| panic!("{} {}", self.status, self.body))).unwrap();
        let query = url.query_pairs().into_owned().collect();
        (url.as_str().split('?').next().unwrap().to_owned(), query)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.sent_to().1.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

/// One request, with nothing in it but what is said here.
async fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let url = Url::parse(url).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let target = &url[url::Position::BeforePath..];
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
    let length = body.len();
    let text = format!(
        "{method} {target} HTTP/1.1\r\nhost: idp\r\nconnection: close\r\ncontent-length: {length}\r\n\
         content-type: application/x-www-form-urlencoded\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    request("GET", url, headers, "").await
}

async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    request("POST", url, headers, body).await
}

/// More than a code lives.
const LATER: Duration = Duration::from_mins(11);

fn as_clock(clock: &Arc<ManualClock>) -> Arc<dyn Clock> {
    Arc::clone(clock) as Arc<dyn Clock>
}
