use std::{fmt, future::Future, pin::Pin, sync::Arc};

use model::UpstreamSource;

use crate::{
    Answer, Call, Upstream, UpstreamError,
    builtin::{self, Builtin},
};

/// Every upstream there is: hands an exchange to the one that the server's live revision names.
#[derive(Clone)]
pub struct Upstreams {
    http: Arc<dyn Upstream>,
    builtins: Arc<[Box<dyn Builtin>]>,
}

impl Upstreams {
    /// `http` answers for remote servers, `builtins` for in-process ones.
    pub fn new(http: Arc<dyn Upstream>, builtins: Vec<Box<dyn Builtin>>) -> Self {
        Self { http, builtins: builtins.into() }
    }

    fn builtin(&self, name: &str) -> Option<&dyn Builtin> {
        self.builtins.iter().map(AsRef::as_ref).find(|builtin| builtin.name() == name)
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("builtins", &self.builtins).finish_non_exhaustive()
    }
}

/// Written without the macro, so that an exchange with a remote server is boxed once and not twice.
impl Upstream for Upstreams {
    fn exchange<'a, 'b>(
        &'a self,
        call: Call,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, UpstreamError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        match &call.server.source {
            UpstreamSource::Http { .. } => self.http.exchange(call),
            UpstreamSource::Builtin { name } => {
                let answer = match self.builtin(name) {
                    Some(builtin) => builtin::exchange(builtin, call),
                    None => Err(UpstreamError::UnknownBuiltin),
                };
                Box::pin(async move { answer })
            }
        }
    }
}
