//! Where a container that was just started can be reached: its addresses, as soon as it has some, and its ports.

use std::borrow::Cow;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nixos_nspawn_units::conflict::claimed_ports;
use nixos_nspawn_units::intent::{Container, ForwardPort, HostAddress, Network, Protocol};
use nixos_nspawn_units::name::MachineName;
use serde::{Deserialize, Serialize};

use crate::base::host::Host;
use crate::base::interrupt;
use crate::fact::installation;
use crate::host::{addresses, machined};

/// How long to wait for an address.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The polling interval.
const PAUSE: Duration = Duration::from_millis(250);

/// Where a container can be reached, as scripts see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Reachable {
    /// Its addresses, except link-local ones.
    pub(crate) addresses: Vec<String>,
    /// The ports of the host that lead to it, as in `forwardPorts`.
    pub(crate) ports: Vec<ForwardPort>,
}

impl Reachable {
    /// Finds out where a running container can be reached, and waits for an address at most this long. A container without
    /// a network of its own has none.
    pub(crate) fn of(host: &Host, name: &MachineName, container: &Container, patience: Duration) -> Self {
        if container.network == Network::Host || container.namespace_path.is_some() {
            return Self::default();
        }
        let end = Instant::now() + if may_get_one(host, container) { patience } else { Duration::ZERO };
        let mut addresses = known(host, name);
        while addresses.is_empty() && Instant::now() < end && interrupt::check().is_ok() {
            sleep(PAUSE);
            addresses = known(host, name);
        }
        Self { addresses, ports: claimed_ports(container).map(Cow::into_owned).collect() }
    }

    /// Returns the lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.addresses.is_empty() {
            lines.push(format!("address {}", self.addresses.join(", ")));
        }
        lines.extend(self.ports.iter().map(|port| format!("port {}", forward(port))));
        lines
    }
}

/// Returns whether something may give it an address.
fn may_get_one(host: &Host, container: &Container) -> bool {
    let further = [&container.macvlan, &container.ipvlan, &container.interfaces];
    let linked = container.has_virtual_ethernet() && installation::hint(host, container).is_none();
    linked || further.iter().any(|names| !names.is_empty())
}

fn known(host: &Host, name: &MachineName) -> Vec<String> {
    let told = || machined::all_addresses(host).ok()?.remove(name);
    let mut addresses = addresses::addresses(host, name).or_else(told).unwrap_or_default();
    addresses.retain(|address| !is_link_local(address));
    addresses
}

/// Returns whether an address, maybe with an interface (`fe80::1%4`), is of one link only.
fn is_link_local(address: &str) -> bool {
    match address.split('%').next().unwrap_or_default().parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// Describes a forwarded port.
fn forward(port: &ForwardPort) -> String {
    let host = match port.host_address.map(HostAddress::get) {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        Some(address) => address.to_string(),
        None => "*".to_owned(),
    };
    let protocol = if port.protocol == Protocol::Udp { " (udp)" } else { "" };
    format!("{host}:{} -> {}{protocol}", port.host_port.get(), port.inside().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_addresses_for_people() {
        let shown = |text: &str| forward(&text.parse().unwrap());
        assert_eq!(shown("8080:80"), "*:8080 -> 80");
        assert_eq!(shown("127.0.0.1:8080:80"), "127.0.0.1:8080 -> 80");
        assert_eq!(shown("[::1]:8080:80"), "[::1]:8080 -> 80");
        assert_eq!(shown("udp:53"), "*:53 -> 53 (udp)");
        for (address, is) in [
            ("169.254.3.4", true),
            ("fe80::1", true),
            ("fe80::1%4", true),
            ("10.0.0.2", false),
            ("fd00::2", false),
        ] {
            assert_eq!(is_link_local(address), is, "{address}");
        }
        let found = Reachable {
            addresses: vec!["10.0.0.2".into(), "fd00::2".into()],
            ports: vec!["53".parse().unwrap()],
        };
        assert_eq!(found.lines(), ["address 10.0.0.2, fd00::2", "port *:53 -> 53"]);
    }
}
