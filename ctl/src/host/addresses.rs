//! The addresses of a running container, which the kernel tells in /proc/PID/net of its leader. That takes no program and no
//! privileges of machined, but may be read by root only; others ask machined.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::host::registration::leader;

/// Returns the addresses of a container without those of its loopback interface: IPv4, IPv6, then those of the link.
/// `None` if they cannot be read.
pub(crate) fn addresses(host: &Host, name: &MachineName) -> Option<Vec<String>> {
    let folder = Path::new("/proc").join(leader(host, name)?.to_string()).join("net");
    // The host's own are not the container's.
    if fs::read_link(folder.join("../ns/net")).ok()? == fs::read_link("/proc/self/ns/net").ok()? {
        return Some(Vec::new());
    }
    let ipv4 = of_trie(&fs::read_to_string(folder.join("fib_trie")).ok()?);
    // IPv6 may be switched off.
    let ipv6 = of_interfaces(&fs::read_to_string(folder.join("if_inet6")).unwrap_or_default());
    Some(ipv4.iter().map(ToString::to_string).chain(ipv6.iter().map(ToString::to_string)).collect())
}

/// Returns the local addresses in a table of routes (`/proc/net/fib_trie`), each once.
fn of_trie(text: &str) -> Vec<Ipv4Addr> {
    let mut last = None;
    let mut found: Vec<Ipv4Addr> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.filter(|address: &Ipv4Addr| !address.is_loopback()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the addresses in `/proc/net/if_inet6`, those of the link last.
fn of_interfaces(text: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let bits = u128::from_str_radix(words.next()?, 16).ok()?;
        let address = Ipv6Addr::from(bits);
        (!address.is_loopback()).then_some(address)
    };
    let mut found: Vec<Ipv6Addr> = text.lines().filter_map(address).collect();
    found.sort_by_key(|address| (address.is_unicast_link_local(), *address));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.88.0.0\n        /24 link UNICAST\nLocal:\n     |-- 10.88.0.5\n        \
                    /32 host LOCAL\n     |-- 10.88.0.255\n        /32 link BROADCAST\n        |-- 127.0.0.1\n           /32 \
                    host LOCAL\nLocal:\n     |-- 10.88.0.5\n        /32 host LOCAL\n";
        assert_eq!(of_trie(trie), [Ipv4Addr::new(10, 88, 0, 5)]);
        assert!(of_trie("").is_empty() && of_trie("|-- x\n/32 host LOCAL\n").is_empty());
        let interfaces = "00000000000000000000000000000001 01 80 10 80       lo\n\
                          fe80000000000000f43d3afffe5f2c1a 02 40 20 80    host0\n\
                          fd000000000000000000000000000002 02 40 00 80    host0\nxyz\n";
        let shown: Vec<String> = of_interfaces(interfaces).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["fd00::2", "fe80::f43d:3aff:fe5f:2c1a"]);
    }
}
