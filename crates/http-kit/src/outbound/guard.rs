use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    str::FromStr,
};

use ipnet::IpNet;

/// A network and a port that the operator allows although it is not public: `10.1.0.0/16:8080`,
/// `127.0.0.1:9000`, `[fd00::/8]:443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRange {
    network: IpNet,
    port: u16,
}

/// The text is not a network and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network and a port, for example 10.1.0.0/16:8080 or [fd00::/8]:443")]
pub struct InvalidSocketRange;

impl FromStr for SocketRange {
    type Err = InvalidSocketRange;

    fn from_str(text: &str) -> Result<Self, InvalidSocketRange> {
        let (network, port) = text.rsplit_once(':').ok_or(InvalidSocketRange)?;
        let (network, bracketed) = match network.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => (inner, true),
            None => (network, false),
        };
        let network = match network.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip),
            Err(_) => network.parse().map_err(|_| InvalidSocketRange)?,
        };
        let port = port.parse().map_err(|_| InvalidSocketRange)?;
        if matches!(network, IpNet::V6(_)) != bracketed || port == 0 {
            return Err(InvalidSocketRange);
        }
        Ok(Self { network, port })
    }
}

impl fmt::Display for SocketRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network {
            IpNet::V4(network) => write!(f, "{network}:{}", self.port),
            IpNet::V6(network) => write!(f, "[{network}]:{}", self.port),
        }
    }
}

impl SocketRange {
    fn contains(&self, address: SocketAddr) -> bool {
        self.port == address.port() && self.network.contains(&address.ip())
    }
}

/// Which addresses we connect to. The default allows public ones only.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// What the operator allows beyond public addresses.
    pub allowed: Vec<SocketRange>,
    /// Whether loopback addresses are allowed: only while we listen on loopback ourselves.
    pub loopback: bool,
    /// Our own listeners. Never allowed, whatever the other two say: a request that we send to ourselves
    /// would carry our address instead of its sender's.
    pub own: Vec<SocketAddr>,
}

impl Guard {
    /// Whether we connect to `address`.
    pub fn allows(&self, address: SocketAddr) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if address.port() == 0 || self.own.iter().any(|own| is_own(*own, address)) {
            return false;
        }
        is_public(address.ip())
            || (self.loopback && address.ip().is_loopback())
            || self.allowed.iter().any(|range| range.contains(address))
    }
}

/// Whether connecting to `address` would reach the listener at `own`, which may listen on every address.
fn is_own(own: SocketAddr, address: SocketAddr) -> bool {
    let (own_ip, ip) = (own.ip().to_canonical(), address.ip());
    own.port() == address.port()
        && (own_ip == ip || ip.is_unspecified() || (own_ip.is_unspecified() && (ip.is_loopback() || is_local(ip))))
}

/// Whether `ip` is an address of this machine. A datagram socket connected to such an address gets the same
/// address on its own side; nothing is sent.
fn is_local(ip: IpAddr) -> bool {
    let any = if ip.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let local = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    local.is_ok_and(|local| local.ip() == ip)
}

/// Whether `ip` is an address of the public internet, that is global unicast and no way into another
/// network (IANA special-purpose registries, RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|(base, bits)| in_v4(ip, *base, *bits)),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// What is not public of IPv4.
const NOT_PUBLIC_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // shared by carriers
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, metadata services of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// What is not public within `2000::/3`, outside of which nothing is: so also not `::/96` (IPv4-compatible),
/// `64:ff9b::/96` and `64:ff9b:1::/48` (NAT64), `100::/64`, `fc00::/7`, `fe80::/10`, `fec0::/10` and
/// `ff00::/8`. An IPv4-mapped address was unwrapped before.
const NOT_PUBLIC_V6: [([u16; 2], u32); 4] = [
    ([0x2001, 0], 23),     // protocol assignments, with Teredo and ORCHID
    ([0x2001, 0xdb8], 32), // documentation
    ([0x2002, 0], 16),     // 6to4: leads to the IPv4 address inside
    ([0x3fff, 0], 20),     // documentation
];

fn in_v4(ip: Ipv4Addr, base: [u8; 4], bits: u32) -> bool {
    (ip.to_bits() ^ u32::from_be_bytes(base)) >> (32 - bits) == 0
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let head = u32::from(segments[0]) << 16 | u32::from(segments[1]);
    let global_unicast = segments[0] >> 13 == 1;
    let special = NOT_PUBLIC_V6.iter().any(|([a, b], bits)| {
        let base = u32::from(*a) << 16 | u32::from(*b);
        (head ^ base) >> (32 - bits) == 0
    });
    // ISATAP (RFC 5214 §6.1) leads to the IPv4 address in its last 32 bits.
    let isatap = segments[4] & !0x0200 == 0 && segments[5] == 0x5efe;
    global_unicast && !special && !isatap
}

#[cfg(test)]
mod tests;
