//! The [Network] section of a .nspawn file, but for the ports. Options go in, settings come out. Any of them replaces the
//! template's whole `--network-veth`, so what is left unsaid would not be as before: all of it is always said.

use crate::intent::Container;
use crate::syntax::Section;

/// Adds what interfaces the container has, and whose network they are in (`systemd.nspawn(5)`).
pub(super) fn interfaces(network: &mut Section, container: &Container) {
    // VirtualEthernet=no alone would mean the host's network: Private= is always said.
    network.set("Private", "yes");
    network.set("VirtualEthernet", "yes");
    if let Some(bridge) = &container.bridge {
        network.set("Bridge", bridge.as_str());
    }
    if let Some(zone) = &container.zone {
        network.set("Zone", zone.as_str());
    }
}
