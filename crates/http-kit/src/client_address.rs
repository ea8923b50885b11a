use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Where a request comes from, as far as we can tell. Server code puts it into the request's extensions;
/// as an extractor it is `0.0.0.0` where nobody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address behind `trusted` proxies: of `X-Forwarded-For`, read from the right, the first that is
    /// not a trusted proxy itself. Headers of a peer that is no trusted proxy mean nothing.
    pub fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_proxy = |address: &IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
        let mut client = peer.to_canonical();
        if !is_proxy(&client) {
            return Self(client);
        }
        let sent: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for text in sent.into_iter().rev() {
            let Ok(address) = text.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !is_proxy(&client) {
                break;
            }
        }
        Self(client)
    }

    /// What limits count: the /24 of IPv4 and the /56 of IPv6, since addresses beside each other are easily had
    /// by one person. Loopback and private addresses are machines of one's own, and count one by one.
    pub fn neighbourhood(self) -> IpNet {
        match self.0 {
            IpAddr::V4(address) if address.is_loopback() || address.is_private() => Ipv4Net::from(address).into(),
            IpAddr::V4(address) => Ipv4Net::new(address, 24).expect("24 is at most 32").trunc().into(),
            IpAddr::V6(address) => Ipv6Net::new(address, 56).expect("56 is at most 128").trunc().into(),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(Ipv4Addr::UNSPECIFIED.into())))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn behind(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        ClientAddress::behind(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(behind("1.2.3.4", &["9.9.9.9"]), "1.2.3.4");
        assert_eq!(behind("10.0.0.1", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(behind("10.0.0.1", &["6.6.6.6, 9.9.9.9, 10.0.0.2"]), "9.9.9.9");
        assert_eq!(behind("10.0.0.1", &["6.6.6.6", "9.9.9.9"]), "9.9.9.9");
        assert_eq!(behind("::ffff:10.0.0.1", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(behind("10.0.0.1", &["9.9.9.9, nonsense"]), "10.0.0.1");
        assert_eq!(behind("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn a_household_is_one_neighbour() {
        let of = |text: &str| ClientAddress(text.parse().unwrap()).neighbourhood();
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:102::1"));
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
