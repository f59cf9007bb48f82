//! Lists of names and numbers, and pairs with colons.

use super::super::finding::{Effect, Problem};
use super::name::{is_interface, is_user, no_interface};
use super::number::{amount, signed, small, uid};
use super::split::split;
use crate::intent::CAPABILITIES;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::words;

/// The largest number of a capability.
const CAPABILITY_MAX: i32 = 62;

/// The first systemd in which a wrong word of `CPUAffinity=` does not make it refuse the file.
const CPU_SET_LENIENT: u32 = 258;

/// The first CPU that systemd does not take.
const CPUS: u32 = 8192;

const FAMILIES: &[&str] = &[
    "AF_ALG",
    "AF_APPLETALK",
    "AF_ASH",
    "AF_ATMPVC",
    "AF_ATMSVC",
    "AF_AX25",
    "AF_BLUETOOTH",
    "AF_BRIDGE",
    "AF_CAIF",
    "AF_CAN",
    "AF_DECnet",
    "AF_ECONET",
    "AF_FILE",
    "AF_IB",
    "AF_IEEE802154",
    "AF_INET",
    "AF_INET6",
    "AF_IPX",
    "AF_IRDA",
    "AF_ISDN",
    "AF_IUCV",
    "AF_KCM",
    "AF_KEY",
    "AF_LLC",
    "AF_LOCAL",
    "AF_MCTP",
    "AF_MPLS",
    "AF_NETBEUI",
    "AF_NETLINK",
    "AF_NETROM",
    "AF_NFC",
    "AF_PACKET",
    "AF_PHONET",
    "AF_PPPOX",
    "AF_QIPCRTR",
    "AF_RDS",
    "AF_ROSE",
    "AF_ROUTE",
    "AF_RXRPC",
    "AF_SECURITY",
    "AF_SMC",
    "AF_SNA",
    "AF_TIPC",
    "AF_UNIX",
    "AF_VSOCK",
    "AF_WANPIPE",
    "AF_X25",
    "AF_XDP",
];

/// Checks capabilities; a wrong one is left out.
pub(super) fn capabilities(value: &str, systemd: u32) -> Vec<Problem> {
    let words = match split(words::plain_words(value)) {
        Ok(words) => words,
        Err(problem) => return vec![problem],
    };
    let known = |word: &str| match signed(word, systemd) {
        Some(number) => (0..=CAPABILITY_MAX).contains(&number),
        None => word == "all" || CAPABILITIES.iter().any(|known| known.eq_ignore_ascii_case(word)),
    };
    let unknown = words.iter().filter(|word| !known(word));
    unknown
        .map(|word| {
            let named = format!("CAP_{}", word.to_uppercase().trim_start_matches("CAP_"));
            Problem::of(word, "is not a capability").among(&named, CAPABILITIES)
        })
        .collect()
}

/// Checks CPUs: numbers and ranges.
pub(super) fn cpus(value: &str, systemd: u32) -> Vec<Problem> {
    let strict = systemd < CPU_SET_LENIENT;
    let weigh = |problem: Problem| if strict { problem.refused() } else { problem };
    let words = match split(words::list_words(value)) {
        Ok(words) => words,
        Err(problem) => return vec![weigh(problem)],
    };
    let mut problems = Vec::new();
    for word in &words {
        match cpu_range(word, systemd) {
            Some((lower, upper)) if lower > upper => {
                problems.push(Problem::of(word, "ends before it begins"))
            }
            Some((_, upper)) if upper < CPUS => {}
            Some(_) => {
                problems.push(weigh(Problem::of(word, "is beyond CPU 8191, the last that Linux knows")))
            }
            None => problems
                .push(weigh(Problem::of(word, "is neither the number of a CPU nor a range such as '0-3'"))),
        }
        if problems.last().is_some_and(|problem| problem.effect == Effect::Refused) {
            break;
        }
    }
    problems
}

fn cpu_range(word: &str, systemd: u32) -> Option<(u32, u32)> {
    let (lower, upper) = words::range_ends(word).ok()?;
    let lower = small(&lower, systemd)?;
    upper.map_or(Some(lower), |upper| small(upper, systemd)).map(|upper| (lower, upper))
}

/// Checks a boolean, a word, or `UID[:RANGE]`.
pub(super) fn private_users(value: &str, systemd: u32) -> Result<(), Problem> {
    const MANAGED: u32 = 258;
    if parse_boolean(value).is_some() || matches!(value, "pick" | "identity") {
        return Ok(());
    }
    if value == "managed" {
        return match systemd {
            MANAGED.. => Ok(()),
            _ => {
                Err(Problem { since: Some(MANAGED), ..Problem::of(value, "is known since version 258 only") })
            }
        };
    }
    let (shift, range) = match value.split_once(':') {
        Some((shift, range)) => {
            (shift, small(range, systemd).ok_or_else(|| Problem::of(range, "is not a number of UIDs"))?)
        }
        None => (value, 0x10000),
    };
    let no_uid = || {
        Problem::of(shift, "is not a UID, a boolean, 'pick', 'identity' or 'managed'")
            .among(shift, ["pick", "identity", "managed"])
    };
    let shift = uid(shift).ok_or_else(no_uid)?;
    if range == 0 || shift > u32::MAX - range {
        return Err(Problem::of(value, "is an empty range of UIDs, or one beyond the last"));
    }
    Ok(())
}

/// Checks address families; the first wrong one makes systemd ignore the rest.
pub(super) fn address_families(value: &str) -> Result<(), Problem> {
    if value.is_empty() || value == "none" {
        return Ok(());
    }
    let rest = value.strip_prefix('~').unwrap_or(value);
    let known = |word: &&String| FAMILIES.iter().any(|known| known.eq_ignore_ascii_case(word));
    match split(words::path_words(rest))?.iter().find(|word| !known(word)) {
        Some(word) => {
            Err(Problem::of(word, "is not an address family").among(word, FAMILIES.iter().copied()))
        }
        None => Ok(()),
    }
}

/// Checks names of users; the first wrong one makes systemd ignore the rest.
pub(super) fn users(value: &str) -> Result<(), Problem> {
    match split(words::plain_words(value))?.iter().find(|word| !is_user(word)) {
        Some(word) => Err(Problem::of(word, "is not the name of a user")),
        None => Ok(()),
    }
}

/// Checks interfaces, each as `host[:container]`.
pub(super) fn interfaces(value: &str, systemd: u32) -> Result<(), Problem> {
    for word in split(words::plain_words(value))? {
        let (host, inside) = split(words::first_field(&word))?;
        let names = std::iter::once(host.as_str()).chain(inside.filter(|inside| !inside.is_empty()));
        if let Some(bad) = names.into_iter().find(|name| !is_interface(name, systemd)) {
            return Err(no_interface(bad));
        }
    }
    Ok(())
}

/// Checks one `host[:container]` pair of names.
pub(super) fn interface_pair(value: &str, systemd: u32) -> Result<(), Problem> {
    match split(words::fields(value))?.as_slice() {
        // A second name that is none counts as missing.
        [host] | [host, _] if is_interface(host, systemd) => Ok(()),
        [host] | [host, _] => Err(no_interface(host)),
        _ => Err(Problem::of(value, "has more than two names")),
    }
}

/// Reads `[tcp:|udp:]host[:container]`; returns the protocol and the host's port.
pub(in crate::verify) fn port(value: &str, systemd: u32) -> Result<(&'static str, u64), Problem> {
    let (protocol, ports) = match (value.strip_prefix("tcp:"), value.strip_prefix("udp:")) {
        (Some(ports), _) => ("tcp", ports),
        (None, Some(ports)) => ("udp", ports),
        (None, None) => ("tcp", value),
    };
    let number = |text: &str| {
        let begins = !text.starts_with([' ', '\t', '\n', '\r']);
        let number = amount(text, systemd).filter(|number| begins && (1..=0xffff).contains(number));
        number.ok_or_else(|| Problem::of(text, "is not a port (1 to 65535)"))
    };
    let host = match ports.split_once(':') {
        Some((host, inside)) => {
            let host = number(host)?;
            number(inside)?;
            host
        }
        None => number(ports)?,
    };
    Ok((protocol, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(port("80", 262), Ok(("tcp", 80)));
        assert_eq!(port("udp:0x35:53", 262), Ok(("udp", 53)));
        for value in ["", "0", "65536", "sctp:1", "tcp:1:2:3", "1:", "tcp: 1", "UDP:1"] {
            assert!(port(value, 262).is_err(), "{value}");
        }
    }

    #[test]
    fn wrong_words_of_a_list() {
        assert_eq!(capabilities("CAP_CHOWN cap_kill all 5", 262).len(), 0);
        assert_eq!(capabilities("CAP_CHWON 63 KILL", 262).len(), 3);
        assert_eq!(capabilities("KILL", 262)[0].meant.as_deref(), Some("CAP_KILL"));
        assert_eq!(cpus("0-3,5 'x' 3-1 8192", 262).len(), 3);
        assert_eq!(cpus("0-3,5 'x' 3-1", 257).len(), 1);
        assert!(cpus("0-3 7, 0x10", 257).is_empty());
        assert_eq!(users("a b9 _c"), Ok(()));
        assert!(users("a 1b").is_err() && users("a.b").is_err());
        assert_eq!(private_users("65536:0x10000", 257), Ok(()));
        assert!(private_users("managed", 257).is_err() && private_users("managed", 258).is_ok());
        assert!(private_users("4294967290:10", 262).is_err() && private_users("1:", 262).is_err());
        assert!(address_families("~AF_INET af_unix").is_ok() && address_families("AF_INET7").is_err());
        assert!(interfaces("a b:c d:", 262).is_ok() && interfaces("a b:c:d", 262).is_err());
        assert!(
            interface_pair("a:", 262).is_ok()
                && interface_pair("a:b:", 262).is_err()
                && interface_pair(":b", 262).is_err()
        );
    }
}
