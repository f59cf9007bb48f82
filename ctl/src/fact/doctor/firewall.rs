//! The host's firewall, and the interfaces whose packets it must let through.

use std::fs;

use nixos_nspawn_units::network::host_end;
use systemd_unit_syntax::settings::parse_boolean;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::Overview;
use crate::host::forwards::masquerades;
use crate::host::nft_ruleset::{Chain, chains};

/// The firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirewallSeen {
    /// The chains of nftables; `None` without nft.
    pub(crate) chains: Option<Vec<Chain>>,
    /// The interfaces on which networkd serves addresses.
    pub(crate) served: Vec<String>,
    /// The interfaces whose packets networkd masquerades.
    pub(crate) masqueraded: Vec<String>,
    /// The interface of the default route, if there is one.
    pub(crate) outside: Option<String>,
    /// The forwarded ports of containers: protocol, port inside, and interface.
    pub(crate) ports: Vec<(String, u64, String)>,
}

impl FirewallSeen {
    /// Looks at the firewall of a running system.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Seen<Self> {
        let mut seen = Self {
            chains: None,
            served: Vec::new(),
            masqueraded: Vec::new(),
            outside: outside(host),
            ports: Vec::new(),
        };
        for (name, intent) in
            overview.containers.values().filter_map(|one| Some((&one.name, one.intent.as_ref()?)))
        {
            let container = &intent.container;
            let own = container.host_interface(name).filter(|interface| interface.starts_with("ve-"));
            let Some(interface) = own.or(container.zone_name().map(|zone| format!("vz-{zone}"))) else {
                continue;
            };
            for port in container.forward_ports.iter().filter(|port| port.by_nspawn()) {
                let protocol = port.protocol.to_string();
                seen.ports.push((protocol, port.inside().get().into(), interface.clone()));
            }
            let Some(end) = host_end(name, container, u32::MAX) else { continue };
            let serves = end.file.values("Network", "DHCPServer").last().and_then(parse_boolean);
            if serves == Some(true) && !seen.served.contains(&interface) {
                seen.served.push(interface.clone());
            }
            if masquerades(&end.file) && !seen.masqueraded.contains(&interface) {
                seen.masqueraded.push(interface);
            }
        }
        if !host.is_owner() {
            return Err(Unseen::for_root("the rules of nftables"));
        }
        seen.chains = chains(host)?;
        Ok(seen)
    }
}

/// Returns the interface of the default route over IPv4 (`proc_pid_net(5)`).
fn outside(host: &Host) -> Option<String> {
    default_route(&fs::read_to_string(host.path("/proc/net/route")).unwrap_or_default())
}

fn default_route(table: &str) -> Option<String> {
    /// The flag of a route that is up.
    const UP: u32 = 1;
    let default = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (interface, destination, mask) = (*words.first()?, *words.get(1)?, *words.get(7)?);
        let flags = u32::from_str_radix(words.get(3)?, 16).ok()?;
        let metric: u32 = words.get(6)?.parse().ok()?;
        let all = destination == "00000000" && mask == "00000000";
        (all && flags & UP != 0).then(|| (metric, interface.to_owned()))
    };
    let routes = table.lines().filter_map(default);
    routes.min_by_key(|(metric, _)| *metric).map(|(_, interface)| interface)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Played;

    #[test]
    fn the_interface_of_the_default_route() {
        const HEAD: &str =
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        const LINES: &str = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            tun0\t00000000\t0102A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(default_route(&format!("{HEAD}{LINES}")).as_deref(), Some("eth0"));
        assert_eq!(default_route(HEAD), None);
        assert_eq!(default_route(""), None);
    }

    #[test]
    fn only_what_networkd_does_matters() {
        let played = Played::new();
        played.record();
        let look = |container: &str| {
            let text = fs::read_to_string(played.intent()).unwrap();
            let (start, _) =
                text.split_once(r#","container""#).unwrap_or((text.strip_suffix('}').unwrap(), ""));
            fs::write(played.intent(), format!(r#"{start},"container":{container}}}"#)).unwrap();
            played.on_call(|words, _| {
                words
                    .contains(&"ruleset".to_owned())
                    .then(|| crate::testing::ended(0, r#"{"nftables":[]}"#, ""))
            });
            let seen = FirewallSeen::look(&played.host, &Overview::gather(&played.host).unwrap()).unwrap();
            (seen.served, seen.masqueraded, seen.ports.len())
        };
        let web = || vec!["ve-web".to_owned()];
        assert_eq!(look(r#"{"forwardPorts":["80","127.0.0.1:81"]}"#), (web(), web(), 1));
        assert_eq!(look(r#"{"zone":"lan"}"#), (vec!["vz-lan".into()], vec!["vz-lan".into()], 0));
        let off = r#"{"hostNetworkConfig":{"networkConfig":{"DHCPServer":false,"IPMasquerade":"no"}}}"#;
        assert_eq!(look(off), (Vec::new(), Vec::new(), 0));
    }
}
