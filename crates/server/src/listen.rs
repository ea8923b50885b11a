//! The accept loop: one single-threaded runtime per worker, each with a listener of its own on the same
//! port (`SO_REUSEPORT`), so that a request stays on one core from its first byte to its last.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{App, app::Body};

/// How long a client may take to send a request's head, and to send the next request on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes a request's head may have.
const HEAD_SIZE: usize = 64 * 1024;
/// How long a client may leave what was sent to it unread, or unacknowledged. Without it, who asks and never
/// reads holds a connection and megabytes of the kernel's buffers for ever.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_mins(2);
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Sockets that listen and do not answer yet.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<std::net::TcpListener>);

impl Listeners {
    /// Listens, once per worker.
    pub(crate) fn bind(address: SocketAddr, workers: usize) -> anyhow::Result<Self> {
        // The first without SO_REUSEPORT: it is how a forgotten older process is noticed, which would
        // otherwise silently answer half of the connections.
        let probe = listener(address, false).with_context(|| cannot_listen(address))?;
        let address = probe.local_addr().context("the listening address is not known")?;
        drop(probe);
        let all: io::Result<_> = (0..workers).map(|_| listener(address, true)).collect();
        Ok(Self(all.with_context(|| cannot_listen(address))?))
    }

    /// Answers with `app` on threads of their own until `stop`; then takes no more connections and lets
    /// requests end within `grace`.
    pub(crate) fn serve(self, app: &App, stop: &CancellationToken, grace: Duration) -> anyhow::Result<Workers> {
        let threads = self.0.into_iter().enumerate().map(|(at, listener)| {
            let (app, stop) = (app.clone(), stop.clone());
            let work = move || worker(listener, &app, &stop, grace);
            thread::Builder::new().name(format!("worker-{at}")).spawn(work).context("no thread can be started")
        });
        Ok(Workers(threads.collect::<anyhow::Result<_>>()?))
    }
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Lets this process have as many files open as it may: a connection is one, and shells and service
/// managers start processes with 1024 (`LimitNOFILE` of `systemd.exec(5)`), which a single idle client has
/// open in a moment. Nothing here uses `select(2)`, which is why that is the default.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    if let Err(error) = raised {
        tracing::warn!(error = &error as &dyn std::error::Error, "few connections at a time: the limit stays");
    }
}

fn cannot_listen(address: SocketAddr) -> String {
    format!(
        "cannot listen on {address}. If the port is taken, stop what uses it or choose another (`up --listen`, or `listen` \
         of the configuration); ports below 1024 need privileges"
    )
}

/// The threads that answer.
#[derive(Debug)]
pub(crate) struct Workers(Vec<JoinHandle<anyhow::Result<()>>>);

impl Workers {
    /// Returns when all have stopped.
    pub(crate) fn join(self) -> anyhow::Result<()> {
        for thread in self.0 {
            thread.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    }
}

fn worker(listener: std::net::TcpListener, app: &App, stop: &CancellationToken, grace: Duration) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("no runtime can be started")?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).context("the listener cannot be used")?;
        let connections = TaskTracker::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        connections.spawn(connection(stream, peer, app.clone(), stop.clone()));
                    }
                    Err(error) => refused(&error).await,
                },
            }
        }
        drop(listener);
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests are cut off: the grace period is over");
        }
        Ok(())
    })
}

/// A connection could not be accepted. The peer gave up: go on. No file descriptors: wait for some.
async fn refused(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(error = error as &dyn std::error::Error, "connections cannot be accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sets what a connection needs. Only a little slower without the one, and too patient without the other.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // Counts for a window that stays closed, too (tcp(7), `TCP_USER_TIMEOUT`; RFC 9293 §3.8.6.1).
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD));
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

async fn connection(stream: TcpStream, peer: SocketAddr, app: App, stop: CancellationToken) {
    tune(&stream);
    let service = service_fn(move |request: Request<Incoming>| -> Answer { app.answer(request, peer.ip()) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients that go away are no news.
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_allowed() {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..before }).unwrap();
        raise_file_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_never_reads_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        tune(&accepted);
        assert_eq!(socket2::SockRef::from(&accepted).tcp_user_timeout().unwrap(), Some(UNREAD));
    }
}
