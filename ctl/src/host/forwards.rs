//! The port forwards that systemd-nspawn keeps in nftables. Flushing the rules, as firewalls do, silently removes them.

use std::collections::BTreeSet;
use std::time::Duration;

use nixos_nspawn_units::copies::copy_path;
use nixos_nspawn_units::intent::{Intent, Protocol};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde_json::Value;

use crate::base::host::Host;
use crate::host::files::{SYSTEM_FOLDERS, which};

/// How long nft may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a container may take to get the address that nspawn forwards to.
const UNTIL_ADDRESS: Duration = Duration::from_secs(20);

/// The forwarded ports, as protocol and port.
pub(crate) struct Forwards(BTreeSet<(u64, u64)>);

impl Forwards {
    /// Reads the forwards; returns `None` if the caller cannot.
    pub(crate) fn read(host: &Host) -> Option<Self> {
        if !host.live() || !host.is_owner() {
            return None;
        }
        let nft = which("nft", &SYSTEM_FOLDERS)?;
        let of = |family: &str| {
            let words = ["-j", "list", "map", family, "io.systemd.nat", "map_port_ipport"];
            // A missing table has no forwards.
            let answer = host.program(&nft).args(words).limit(LIMIT).output_if_any();
            elements(&answer.unwrap_or_default())
        };
        Some(Self(of("ip").into_iter().chain(of("ip6")).collect()))
    }

    /// Returns a note if forwards of a running container are missing.
    pub(crate) fn missing(&self, host: &Host, name: &MachineName, intent: &Intent) -> Option<String> {
        let started = copy_path(&host.root, name).metadata().and_then(|copy| copy.modified()).ok()?;
        if started.elapsed().is_ok_and(|time| time < UNTIL_ADDRESS) {
            return None;
        }
        let ports = intent.container.forward_ports.iter().filter(|port| port.by_nspawn());
        let gone =
            ports.filter(|port| !self.0.contains(&(number(port.protocol), port.host_port.get().into())));
        let gone: Vec<String> = gone.map(|port| port.host_side()).collect();
        (!gone.is_empty()).then(|| {
            let (noun, verb) = if gone.len() == 1 { ("port", "is") } else { ("ports", "are") };
            format!(
                "{noun} {} {verb} not forwarded: the rules of systemd-nspawn are not in nftables, as after a reload of \
                 the firewall, or the container has no address; 'systemctl restart {}' restores them",
                gone.join(", "),
                unit_name(name)
            )
        })
    }
}

/// Returns the number of a protocol (RFC 5237).
fn number(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Returns the keys of a map of nft, as protocol and port. Some versions print the protocol's name.
fn elements(answer: &str) -> Vec<(u64, u64)> {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let maps = answer["nftables"].as_array().into_iter().flatten();
    let elements = maps.filter_map(|entry| entry["map"]["elem"].as_array()).flatten();
    let key = |element: &Value| {
        let key = &element[0]["concat"];
        let protocol = match key[0].as_str() {
            Some("tcp") => 6,
            Some("udp") => 17,
            Some(_) => return None,
            None => key[0].as_u64()?,
        };
        Some((protocol, key[1].as_u64()?))
    };
    elements.filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn answers_of_nft() {
        let answer = r#"{"nftables": [{"metainfo": {"version": "1.1.3"}}, {"map": {"family": "ip",
            "name": "map_port_ipport", "table": "io.systemd.nat", "type": ["inet_proto", "inet_service"], "handle": 5,
            "map": ["ipv4_addr", "inet_service"], "elem": [
                [{"concat": [6, 8080]}, {"concat": ["192.168.66.221", 80]}],
                [{"concat": ["udp", 5353]}, {"concat": ["192.168.66.221", 53]}]]}}]}"#;
        assert_eq!(elements(answer), [(6, 8080), (17, 5353)]);
        assert!(elements("").is_empty());
        assert!(elements(r#"{"nftables": [{"map": {"family": "ip"}}]}"#).is_empty());
    }
}
