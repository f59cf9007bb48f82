//! Texts and objects of forwards: what is taken, what is refused and why.

use super::*;

fn short(text: &str) -> Result<String, String> {
    let port: ForwardPort = text.parse().map_err(|error: Invalid| error.to_string())?;
    Ok(format!("{} -> {}", port.host_side(), port.inside().get()))
}

#[test]
fn short_forms() {
    for (text, meaning) in [
        ("8080:80", "tcp/8080 -> 80"),
        ("8080", "tcp/8080 -> 8080"),
        ("udp:53", "udp/53 -> 53"),
        ("tcp:8080:80", "tcp/8080 -> 80"),
        ("127.0.0.1:8080:80", "tcp/127.0.0.1:8080 -> 80"),
        ("127.0.0.1:8080", "tcp/127.0.0.1:8080 -> 8080"),
        ("[::1]:8080:80", "tcp/[::1]:8080 -> 80"),
        ("tcp:127.0.0.1:8080:80", "tcp/127.0.0.1:8080 -> 80"),
        ("tcp:[::]:65535:1", "tcp/[::]:65535 -> 1"),
        ("0.0.0.0:1", "tcp/0.0.0.0:1 -> 1"),
    ] {
        assert_eq!(short(text).as_deref(), Ok(meaning), "{text}");
    }
}

#[test]
fn refused_with_a_reason() {
    for (text, reason) in [
        ("", "'' is not a port (1 to 65535)"),
        ("0", "'0' is not a port (1 to 65535)"),
        ("65536", "'65536' is not a port (1 to 65535)"),
        ("80:0", "'0' is not a port (1 to 65535)"),
        ("8080:", "'' is not a port (1 to 65535)"),
        ("+80", "'+80' is not a port (1 to 65535)"),
        (" 80", "' 80' is not a port (1 to 65535)"),
        ("99999999999999999999", "'99999999999999999999' is not a port (1 to 65535)"),
        ("http", "'http' is not a port (1 to 65535)"),
        ("tcp:80:80:80", &format!("it has more than two ports; {SYNTAX}")),
        ("sctp:80", "protocol 'sctp' is neither tcp nor udp"),
        ("TCP:80", "protocol 'TCP' is neither tcp nor udp"),
        ("::1:8080:80", &format!("an IPv6 address needs brackets; {SYNTAX}")),
        ("fe80::1:8080:80", &format!("an IPv6 address needs brackets; {SYNTAX}")),
        ("fd00:1::2:8080:80", &format!("an IPv6 address needs brackets; {SYNTAX}")),
        ("[::1]", &format!("an address in brackets must be followed by ':' and a port; {SYNTAX}")),
        ("[127.0.0.1]:80", "'127.0.0.1' in brackets is not an IPv6 address"),
        ("127.0.0.256:80:80", "address '127.0.0.256' is not an IP address"),
        ("localhost.:80", "protocol 'localhost.' is neither tcp nor udp"),
        (
            "224.0.0.1:80",
            "address '224.0.0.1' is a multicast or broadcast address, so nothing can listen on it",
        ),
        (
            "[ff02::1]:80",
            "address 'ff02::1' is a multicast or broadcast address, so nothing can listen on it",
        ),
        (
            "[::ffff:127.0.0.1]:80",
            "address '::ffff:127.0.0.1' is an IPv4 address written as IPv6; write the IPv4 address",
        ),
        (
            "[fe80::1]:80",
            "address 'fe80::1' is a link-local address, which means nothing without an interface",
        ),
        ("[fe80::1%eth0]:80", "address 'fe80::1%eth0' is not an IP address"),
    ] {
        assert_eq!(short(text), Err(format!("'{text}' is not a port forward: {reason}")), "{text}");
    }
    assert_eq!(
        short("udp:127.0.0.1:53"),
        Err("'udp/127.0.0.1:53' cannot have a host address: it needs a socket unit, and systemd-socket-proxyd \
             forwards TCP only"
            .to_owned())
    );
}

#[test]
fn what_overlaps() {
    let port = |text: &str| text.parse::<ForwardPort>().unwrap();
    let overlap = |one: &str, other: &str| {
        assert_eq!(port(one).overlaps(&port(other)), port(other).overlaps(&port(one)));
        port(one).overlaps(&port(other))
    };
    assert!(overlap("80", "80:81"));
    assert!(overlap("80", "127.0.0.1:80"));
    assert!(overlap("0.0.0.0:80", "127.0.0.1:80"));
    assert!(overlap("[::]:80", "[::1]:80"));
    assert!(overlap("127.0.0.1:80", "127.0.0.1:80:81"));
    assert!(!overlap("80", "81"));
    assert!(!overlap("tcp:80", "udp:80"));
    assert!(!overlap("127.0.0.1:80", "127.0.0.2:80"));
    assert!(!overlap("0.0.0.0:80", "[::]:80"));
    assert!(!overlap("127.0.0.1:80", "[::]:80"));
    assert!(port("80").completes(&port("127.0.0.1:80")) && port("[::1]:80").completes(&port("80")));
    assert!(!port("80").completes(&port("127.0.0.1:80:81")));
    assert!(!port("80").completes(&port("192.0.2.1:80")));
}
