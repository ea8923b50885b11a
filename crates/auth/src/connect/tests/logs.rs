//! What a sign-in writes to the log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::{Idp, arrive, depart, oidc};
use crate::bench::{Bench, PASSWORD};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let (bench, idp) = (Bench::new().await, Idp::start().await);
    bench.alice().await;
    let connection = oidc(&bench, &idp, "corp").await;
    let mut browser = bench.browser();
    let sent = depart(&mut browser, &connection).await;
    let flow = browser.cookies.iter().find(|(name, _)| name.contains("flow")).unwrap().1.clone();
    let code = idp.authorize(&sent);
    arrive(&mut browser, &connection, &[("code", &code), ("state", &sent["state"])]).await.assert(303);
    let (first, mut local) = (browser.session().unwrap().to_owned(), bench.browser());
    local.sign_in("alice@example.com", "a wrong password", "/").await.assert(403);
    local.sign_in("alice@example.com", PASSWORD, "/").await.assert(303);
    let second = local.session().unwrap().to_owned();
    let csrf = local.get("/logout").await.field("csrf");
    local.post("/logout", &[("csrf", &csrf)]).await.assert(303);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("signed in") && text.contains("TRACE"), "the log was seen");
    let (state, nonce) = (sent["state"].as_str(), sent["nonce"].as_str());
    for secret in [
        &code,
        state,
        nonce,
        &flow,
        &first,
        &second,
        &csrf,
        PASSWORD,
        "a wrong password",
        "access-1",
        "secret of corp",
        "alice@example.com",
        "ada@example.com",
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
