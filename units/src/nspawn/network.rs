//! The [Network] section of a .nspawn file, except ports. Any of its settings replaces the template's whole
//! `--network-veth`, so all of it is always written.

use crate::intent::{Container, Network};
use systemd_unit_syntax::Section;
use systemd_unit_syntax::settings::yes_no;

/// Adds the container's interfaces and the network they are in (`systemd.nspawn(5)`).
pub(super) fn interfaces(network: &mut Section, container: &Container) {
    // VirtualEthernet=no alone would mean the host's network, and so would NamespacePath= on a systemd that does not
    // know it: Private= is always written.
    network.fixed("Private", yes_no(container.network != Network::Host));
    let link = container.network == Network::Private && container.namespace_path.is_none();
    network.fixed("VirtualEthernet", yes_no(link));
    if let Some(path) = &container.namespace_path {
        network.set("NamespacePath", path.as_str());
    }
    if let Some(bridge) = &container.bridge {
        network.set("Bridge", bridge.as_str());
    }
    if let Some(zone) = &container.zone {
        network.set("Zone", zone.as_str());
    }
    for (key, pairs) in [
        ("Interface", &container.interfaces),
        ("MACVLAN", &container.macvlan),
        ("IPVLAN", &container.ipvlan),
        ("VirtualEthernetExtra", &container.extra_veths),
    ] {
        for pair in pairs {
            network.set(key, pair.to_string());
        }
    }
}
