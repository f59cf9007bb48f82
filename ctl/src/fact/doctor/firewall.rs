//! The host's firewall, and the interfaces whose packets it must let through.

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::Overview;
use crate::host::files::names_in;
use crate::host::nft_ruleset::{Chain, chains};

/// The firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirewallSeen {
    /// The chains of nftables; `None` without nft.
    pub(crate) chains: Option<Vec<Chain>>,
    /// The interfaces of containers that have their own network.
    pub(crate) interfaces: Vec<String>,
    /// An interface to the outside.
    pub(crate) outside: String,
    /// The forwarded ports of containers: protocol, port inside, and interface.
    pub(crate) ports: Vec<(String, u64, String)>,
}

impl FirewallSeen {
    /// Looks at the firewall of a running system.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Seen<Self> {
        let mut interfaces = Vec::new();
        let mut ports = Vec::new();
        for (name, intent) in
            overview.containers.values().filter_map(|one| Some((&one.name, one.intent.as_ref()?)))
        {
            let container = &intent.container;
            let own = container.host_interface(name).filter(|interface| interface.starts_with("ve-"));
            let zone = container.zone.as_ref().map(|zone| format!("vz-{zone}"));
            let Some(interface) = own.or(zone) else { continue };
            for port in container.forward_ports.iter().filter(|port| port.by_nspawn()) {
                ports.push((port.protocol.to_string(), port.inside().get().into(), interface.clone()));
            }
            if !interfaces.contains(&interface) {
                interfaces.push(interface);
            }
        }
        if !host.is_owner() {
            return Err(Unseen::for_root("the rules of nftables"));
        }
        Ok(Self { chains: chains(host)?, interfaces, outside: outside(host), ports })
    }
}

/// Returns an interface that leads neither to a container nor back to the host.
fn outside(host: &Host) -> String {
    let inside =
        |name: &String| name == "lo" || ["ve-", "vb-", "vz-"].iter().any(|prefix| name.starts_with(prefix));
    let names = names_in(&host.path("/sys/class/net")).unwrap_or_default();
    names.into_iter().find(|name| !inside(name)).unwrap_or_else(|| "eth0".to_owned())
}
