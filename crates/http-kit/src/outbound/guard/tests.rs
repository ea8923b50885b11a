use super::*;

fn at(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), port)
}

#[test]
fn refuses_everything_that_is_not_public() {
    let guard = Guard::default();
    for refused in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        // IPv6: unspecified, loopback, IPv4-compatible, IPv4-mapped in both spellings.
        "::",
        "::1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "::ffff:169.254.169.254",
        // NAT64, well-known and local; discard; Teredo; ORCHID; documentation; 6to4; SRv6.
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        // Unique local, link-local, site-local, multicast.
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        // ISATAP with either value of the universal bit, inside a public prefix.
        "2600:1:2:3:0:5efe:7f00:1",
        "2600:1:2:3:200:5efe:a00:1",
    ] {
        assert!(!guard.allows(at(refused, 443)), "{refused}");
    }
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.0.0.1",
        "128.0.0.1",
        "169.253.0.1",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "2600:1:2:3:1:5efe:7f00:1",
    ] {
        assert!(guard.allows(at(public, 443)), "{public}");
    }
    assert!(!guard.allows(at("8.8.8.8", 0)), "no port");
}

#[test]
fn allows_what_the_operator_lists_on_its_port_only() {
    let allowed = ["10.1.0.0/16:8080", "127.0.0.1:9000", "[fd00::/8]:443"].map(|text| text.parse().unwrap());
    let guard = Guard { allowed: allowed.into(), ..Guard::default() };
    for (ip, port, expected) in [
        ("10.1.2.3", 8080, true),
        ("10.1.2.3", 8081, false),
        ("10.2.0.1", 8080, false),
        ("::ffff:10.1.2.3", 8080, true),
        ("127.0.0.1", 9000, true),
        ("127.0.0.2", 9000, false),
        ("::1", 9000, false),
        ("fd12::1", 443, true),
        ("fd12::1", 80, false),
    ] {
        assert_eq!(guard.allows(at(ip, port)), expected, "{ip} {port}");
    }
}

#[test]
fn loopback_is_all_of_it_and_nothing_else() {
    let guard = Guard { loopback: true, ..Guard::default() };
    for ip in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert!(guard.allows(at(ip, 9000)), "{ip}");
    }
    for ip in ["0.0.0.0", "::", "10.0.0.1", "169.254.169.254", "fe80::1"] {
        assert!(!guard.allows(at(ip, 9000)), "{ip}");
    }
}

#[test]
fn our_own_listeners_are_refused_even_when_listed() {
    let allowed = vec!["127.0.0.1:8080".parse().unwrap(), "0.0.0.0/0:8080".parse().unwrap()];
    let own = vec![at("127.0.0.1", 8080)];
    let guard = Guard { allowed, loopback: true, own };
    assert!(!guard.allows(at("127.0.0.1", 8080)));
    assert!(!guard.allows(at("::ffff:127.0.0.1", 8080)));
    assert!(!guard.allows(at("0.0.0.0", 8080)), "the kernel takes it for loopback");
    assert!(guard.allows(at("127.0.0.1", 8081)));

    for any in ["0.0.0.0", "::"] {
        let allowed = vec!["0.0.0.0/0:8080".parse().unwrap()];
        let guard = Guard { allowed, loopback: true, own: vec![at(any, 8080)] };
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0"] {
            assert!(!guard.allows(at(ip, 8080)), "{any} {ip}");
        }
        assert!(guard.allows(at("127.0.0.1", 8081)), "{any}");
        assert!(guard.allows(at("8.8.8.8", 8080)), "{any}");
    }
}

#[test]
fn knows_the_addresses_of_this_machine() {
    assert!(is_local("127.0.0.1".parse().unwrap()));
    assert!(!is_local("192.0.2.1".parse().unwrap()));
}

#[test]
fn reads_and_prints_socket_ranges() {
    for (text, printed) in [
        ("10.0.0.0/8:443", "10.0.0.0/8:443"),
        ("127.0.0.1:9000", "127.0.0.1/32:9000"),
        ("[::1]:80", "[::1/128]:80"),
        ("[fd00::/8]:443", "[fd00::/8]:443"),
    ] {
        assert_eq!(text.parse::<SocketRange>().unwrap().to_string(), printed);
    }
    for bad in [
        "",
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:70000",
        "10.0.0.0/33:1",
        "::1:80",
        "[10.0.0.1]:80",
        "localhost:80",
    ] {
        assert_eq!(bad.parse::<SocketRange>(), Err(InvalidSocketRange), "{bad}");
    }
}
