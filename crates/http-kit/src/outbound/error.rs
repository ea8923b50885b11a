use std::error::Error;

/// A request to the outside did not come to an answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is not one that we fetch: not http or https, or with user information in it.
    #[error("the URL is not allowed: {0}")]
    Url(&'static str),
    /// The host has an address that we do not connect to.
    #[error("the address of the host is not allowed")]
    Forbidden,
    /// The host is unknown, refuses connections, or broke off.
    #[error("the host cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// The host's certificate is not trusted, or it does not speak TLS as we do.
    #[error("no secure connection to the host")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// It took longer than allowed.
    #[error("the host took too long")]
    TimedOut,
    /// The answer is larger than allowed.
    #[error("the host's answer is too large")]
    TooLarge,
}

impl OutboundError {
    pub(super) fn unreachable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreachable(source.into())
    }

    /// What a client's error means, which may have one of ours somewhere among its sources.
    pub(super) fn from_client(error: hyper_util::client::legacy::Error) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(at) = source {
            match at.downcast_ref::<Self>() {
                Some(Self::Forbidden) => return Self::Forbidden,
                Some(Self::TimedOut) => return Self::TimedOut,
                Some(Self::TooLarge) => return Self::TooLarge,
                Some(Self::Url(why)) => return Self::Url(why),
                Some(Self::Tls(_)) => return Self::Tls(error.into()),
                Some(Self::Unreachable(_)) => return Self::Unreachable(error.into()),
                None => source = at.source(),
            }
        }
        Self::Unreachable(error.into())
    }
}
