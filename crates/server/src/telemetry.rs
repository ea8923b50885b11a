use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http_kit::ClientAddress;
use model::RequestId;
use tokio::time::Instant;
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Log, LogFormat};

/// Starts the log, on standard error: what a command prints stays alone on standard output.
///
/// Invariant: nothing that is logged holds a token, a code, a cookie, a query string or a body.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::builder().parse_lossy(directives(&log.filter));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, in tests of the library, keeps the first one's log.
    let _ = match log.format {
        LogFormat::Text => registry.with(layer.with_target(false).with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
}

/// What is configured, behind what others are told unless it is about them: the client of Redis warns of each
/// connection that ends, of which we say ourselves what it means.
fn directives(configured: &str) -> String {
    const QUIETER: [(&str, &str); 1] = [("fred", "fred=error")];
    let unsaid = QUIETER.iter().filter(|(target, _)| !configured.contains(target)).map(|(_, directive)| *directive);
    unsaid.chain([configured]).collect::<Vec<_>>().join(",")
}

/// Writes a line for each request of a page or a program, when its answer is ready.
pub(crate) async fn request_line(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let id = request.extensions().get::<RequestId>().copied();
    let address = request.extensions().get::<ClientAddress>().copied();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let (status, duration_ms) = (response.status().as_u16(), started.elapsed().as_millis());
    let (id, address) = (id.map(tracing::field::display), address.map(tracing::field::display));
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
    // The cause of a failure was logged where it became a problem.
    if matches!(route, "/healthz" | "/readyz") && status < 400 {
        tracing::debug!(request.id = id, http.route = route, http.response.status_code = status, "request");
    } else {
        tracing::info!(
            request.id = id, client.address = address, http.request.method = %method, http.route = route,
            http.response.status_code = status, duration_ms, "request"
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_stands_over_what_is_quieter() {
        assert_eq!(directives("info"), "fred=error,info");
        assert_eq!(directives("debug,fred=trace"), "debug,fred=trace");
        let filter = EnvFilter::builder().parse(directives("warn,router=debug")).unwrap();
        assert_eq!(filter.to_string().split(',').count(), 3, "{filter}");
    }
}
