//! A network that can fail: a TCP proxy in front of a server.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;

use crate::Port;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Nobody listens; connections that were there have ended.
    Refuse,
    /// Connections stay and new ones are accepted, but nothing comes through.
    Freeze,
    /// Connections that were there, and those that come, are reset.
    Reset,
    /// The proxy itself ends.
    End,
}

/// A TCP proxy in front of a server, whose clients connect to [`Cut::port`] instead. It begins by letting
/// everything through; ends with everything that goes through it when it is dropped.
#[derive(Debug)]
pub struct Cut {
    port: Port,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    at: SocketAddr,
    to: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    listening: bool,
    /// Both ends of what goes through.
    connections: Vec<(u64, Arc<TcpStream>, Arc<TcpStream>)>,
    next: u64,
}

impl Cut {
    /// In front of a loopback port.
    pub fn before(port: u16) -> Result<Self> {
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let port = Port::free()?;
        let listener = TcpListener::bind(port.address())?;
        let state = State { mode: Mode::Pass, listening: true, connections: Vec::new(), next: 0 };
        let shared = Shared { at: port.address(), to, state: Mutex::new(state), changed: Condvar::new() };
        let shared = Arc::new(shared);
        let listener = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.listen(Some(listener))
        });
        Ok(Self { port, shared, listener: Some(listener) })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// A URL of the server, changed to go through here.
    #[track_caller]
    pub fn url(&self, direct: &str) -> String {
        let port = self.shared.to.port();
        let (from, to) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", self.port()));
        assert!(direct.contains(&from), "{direct} is not in front of port {port}");
        direct.replace(&from, &to)
    }

    /// As when the server's process is away: connections end, new ones are refused.
    pub fn refuse(&self) {
        self.set(Mode::Refuse);
    }

    /// As when a cable is out or a machine hangs: nothing fails, nothing arrives.
    pub fn freeze(&self) {
        self.set(Mode::Freeze);
    }

    /// As when a firewall lost its memory: connections are reset, new ones as well.
    pub fn reset(&self) {
        self.set(Mode::Reset);
    }

    /// Everything goes through again. What was frozen goes on.
    pub fn heal(&self) {
        self.set(Mode::Pass);
    }

    /// How many connections go through now.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Returns when it is so.
    fn set(&self, mode: Mode) {
        let mut state = self.shared.lock();
        state.mode = mode;
        self.shared.changed.notify_all();
        if matches!(mode, Mode::Refuse | Mode::Reset | Mode::End) {
            for (_, client, server) in state.connections.drain(..) {
                break_off(&client, mode == Mode::Reset);
                break_off(&server, mode == Mode::Reset);
            }
        }
        let listening = !matches!(mode, Mode::Refuse | Mode::End);
        while state.listening != listening {
            if !listening {
                // It waits for a connection; this is one. It may be gone by now: then nothing is left to do.
                let _ = TcpStream::connect_timeout(&self.shared.at, Duration::from_millis(100));
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.set(Mode::End);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a change, but not for ever: whoever waits looks again.
    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn listen(self: &Arc<Self>, mut listener: Option<TcpListener>) {
        loop {
            let accepted = listener.as_ref().and_then(|listener| listener.accept().ok());
            let mut state = self.lock();
            match state.mode {
                Mode::Refuse | Mode::End => {
                    listener = None;
                    state.listening = false;
                    self.changed.notify_all();
                    drop(accepted);
                    if state.mode == Mode::End {
                        return;
                    }
                    drop(self.wait(state));
                }
                mode => {
                    if listener.is_none() {
                        listener = TcpListener::bind(self.at).ok();
                        state.listening = listener.is_some();
                        self.changed.notify_all();
                    }
                    drop(state);
                    match accepted {
                        Some((client, _)) if mode == Mode::Reset => break_off(&client, true),
                        Some((client, _)) => self.begin(client),
                        None => {}
                    }
                }
            }
        }
    }

    /// Connects, and copies in both directions on threads of their own.
    fn begin(self: &Arc<Self>, client: TcpStream) {
        let shared = Arc::clone(self);
        thread::spawn(move || {
            // A frozen server's machine does not answer; that it is reached later is as good.
            if !shared.passes() {
                return break_off(&client, true);
            }
            let Ok(server) = TcpStream::connect_timeout(&shared.to, Duration::from_secs(2)) else {
                return break_off(&client, true);
            };
            for stream in [&client, &server] {
                let _ = stream.set_nodelay(true);
            }
            let (client, server) = (Arc::new(client), Arc::new(server));
            let Some(id) = shared.register(&client, &server) else { return };
            let back = thread::spawn({
                let (shared, client, server) = (Arc::clone(&shared), Arc::clone(&client), Arc::clone(&server));
                move || shared.copy(id, &server, &client)
            });
            shared.copy(id, &client, &server);
            let _ = back.join();
            shared.lock().connections.retain(|(of, _, _)| *of != id);
        });
    }

    /// None if connections are broken off by now.
    fn register(&self, client: &Arc<TcpStream>, server: &Arc<TcpStream>) -> Option<u64> {
        let mut state = self.lock();
        if !matches!(state.mode, Mode::Pass | Mode::Freeze) {
            break_off(client, state.mode == Mode::Reset);
            return None;
        }
        state.next += 1;
        let id = state.next;
        state.connections.push((id, Arc::clone(client), Arc::clone(server)));
        Some(id)
    }

    /// Until one side ends; the other is told, unless the connection was broken off.
    fn copy(&self, id: u64, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            // Neither bytes nor an end come through while it is frozen.
            if !self.passes() || read == 0 || to.write_all(&buffer[..read]).is_err() {
                if self.lock().connections.iter().any(|(of, _, _)| *of == id) {
                    let _ = to.shutdown(Shutdown::Write);
                    let _ = from.shutdown(Shutdown::Read);
                }
                return;
            }
        }
    }

    /// Waits while it is frozen; whether things pass then.
    fn passes(&self) -> bool {
        let mut state = self.lock();
        while state.mode == Mode::Freeze {
            state = self.wait(state);
        }
        state.mode == Mode::Pass
    }
}

/// Ends a connection: whoever reads from it here wakes up and lets go of it. With `reset`, its end is a reset.
fn break_off(stream: &TcpStream, reset: bool) {
    if reset {
        // When the last handle is closed, the kernel sends a reset instead of an end.
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        let _ = stream.shutdown(Shutdown::Read);
    } else {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// A server that sends back what it gets, for as long as the test.
    fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn connect(cut: &Cut) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", cut.port()))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(stream)
    }

    fn ask(stream: &mut TcpStream, word: [u8; 4]) -> std::io::Result<()> {
        stream.write_all(&word)?;
        let mut back = [0; 4];
        stream.read_exact(&mut back)?;
        assert_eq!(back, word);
        Ok(())
    }

    #[test]
    fn passes_refuses_and_heals() {
        let cut = Cut::before(echo()).unwrap();
        let mut before = connect(&cut).unwrap();
        ask(&mut before, *b"once").unwrap();
        assert_eq!(cut.connections(), 1);
        cut.refuse();
        ask(&mut before, *b"more").unwrap_err();
        for _ in 0..10 {
            assert_eq!(connect(&cut).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
        cut.heal();
        ask(&mut connect(&cut).unwrap(), *b"then").unwrap();
    }

    #[test]
    fn freezes_and_goes_on() {
        let cut = Cut::before(echo()).unwrap();
        let mut before = connect(&cut).unwrap();
        ask(&mut before, *b"once").unwrap();
        cut.freeze();
        let mut during = connect(&cut).unwrap();
        for stream in [&mut before, &mut during] {
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            stream.write_all(b"wait").unwrap();
            let error = stream.read(&mut [0; 4]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        }
        cut.heal();
        for stream in [&mut before, &mut during] {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut back = [0; 4];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"wait");
        }
    }

    #[test]
    fn resets_what_is_there_and_what_comes() {
        let cut = Cut::before(echo()).unwrap();
        let mut before = connect(&cut).unwrap();
        ask(&mut before, *b"once").unwrap();
        cut.reset();
        assert_eq!(before.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        let mut during = connect(&cut).unwrap();
        assert_eq!(during.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        cut.heal();
        ask(&mut connect(&cut).unwrap(), *b"then").unwrap();
        drop(before);
    }

    #[test]
    fn says_when_the_server_itself_is_away() {
        let away = Port::free().unwrap();
        let cut = Cut::before(away.number()).unwrap();
        let error = connect(&cut).and_then(|mut stream| stream.read(&mut [0; 4])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(
            cut.url(&format!("redis://127.0.0.1:{}/0", away.number())),
            format!("redis://127.0.0.1:{}/0", cut.port())
        );
    }
}
