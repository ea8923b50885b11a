//! What visitors can write into the log: whoever sends many requests gets few lines of warning.

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::Method;
use tests::{Outage, TestApp, World};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no holder panics").extend_from_slice(line);
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

impl Log {
    /// Takes what this thread logs from now on, but for the line of each request.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines of at least a warning.
    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("no holder panics").clone()).expect("text");
        text.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_request_for_another_host_is_told_of_now_and_then() {
    let app = TestApp::new().await;
    let (log, _guard) = Log::listen();
    for host in ["localhost:8080", "evil.example", &"a".repeat(5000)] {
        for _ in 0..20 {
            app.send(Method::GET, "/", &[("host", host)], "").await.expect(421);
        }
    }
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let expected =
        ["WARN", "a request for another host was refused", "host=localhost:8080", "served=\"https://portico.test\""];
    assert!(expected.iter().all(|part| warnings[0].contains(part)), "{warnings:#?}");
}

#[tokio::test]
async fn requests_that_are_put_off_are_told_of_now_and_then() {
    let outage = Outage::default();
    let app = TestApp::over(World::TWO_TENANTS, "", |store| outage.over(store)).await;
    let client = app.client("Assistant").await;
    outage.postgres.cut();
    let (log, _guard) = Log::listen();
    for _ in 0..30 {
        // Nobody is signed in, and nobody has to be.
        app.browser().get("/").await.expect(503);
        app.browser().get(&client.authorize_path("/t/acme/demo/mcp")).await.expect(503);
        client.refresh("no such token").await.expect(503);
    }
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains(" WARN ") && warnings[0].contains("a request was put off"), "{warnings:#?}");
}
