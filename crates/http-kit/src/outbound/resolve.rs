use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

/// Turns a host name into addresses.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The addresses of `host`, in the order in which to try them. None at all is an error of kind
    /// [`io::ErrorKind::NotFound`] or an empty list.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// A resolver with given answers, for tests. A name with several answers gives them one after another and
/// then stays with the last: that is how DNS rebinding looks from here.
#[derive(Debug, Default)]
pub struct FixedResolver(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl FixedResolver {
    /// A resolver that knows no name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer for `host`, to be given after those that were added before.
    #[must_use]
    pub fn with(self, host: &str, addresses: &[IpAddr]) -> Self {
        self.names().entry(host.to_owned()).or_default().push_back(addresses.to_vec());
        self
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<String, VecDeque<Vec<IpAddr>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Resolve for FixedResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut names = self.names();
        let answers = names.get_mut(host).ok_or(io::ErrorKind::NotFound)?;
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Ok(answer.unwrap_or_default().into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}
