//! The .network file of systemd-networkd for the host's end of a container's virtual cable (`systemd.network(5)`). It
//! replaces the file that systemd ships for all such cables, so it begins with the same settings, as
//! python-nixos-nspawn does.

use crate::intent::{Container, FreeSettings};
use crate::name::MachineName;
use crate::syntax::{Item, Section, UnitFile};

/// Sorts the file before systemd's own `80-container-*` and after an administrator's `10-*`; networkd takes the first
/// file that matches.
pub fn file_name(name: &MachineName) -> String {
    format!("{PREFIX}{name}{ENDING}")
}

/// Returns the container that a file of this name belongs to.
pub fn container_of(file_name: &str) -> Option<MachineName> {
    file_name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?.parse().ok()
}

pub(crate) const PREFIX: &str = "50-nixos-nspawn-";
pub(crate) const ENDING: &str = ".network";

/// systemd's own settings for a cable that leads to the host itself (`80-container-ve.network`), without the IPv4
/// link-local address; python-nixos-nspawn begins with the same.
const CABLE: &[(&str, &str)] = &[
    ("DHCPServer", "yes"),
    ("EmitLLDP", "customer-bridge"),
    ("IPMasquerade", "both"),
    ("IPv6AcceptRA", "no"),
    ("IPv6SendRA", "yes"),
    ("LLDP", "yes"),
    ("LinkLocalAddressing", "ipv6"),
];

/// systemd's own settings for a cable that ends in a bridge (`80-container-vb.network`).
const BRIDGED: &[(&str, &str)] =
    &[("EmitLLDP", "nearest-bridge"), ("KeepMaster", "yes"), ("LLDP", "yes"), ("LinkLocalAddressing", "no")];

/// The first systemd known to take `PersistLeases=runtime` for its own cables; 257 refuses it, versions in between are
/// untested.
const RUNTIME_LEASES: u32 = 262;

/// Returns networkd's file for that version of systemd, if the options ask for one. The caller adds comments.
pub fn network_file(name: &MachineName, container: &Container, systemd: u32) -> Option<UnitFile> {
    let config = container.host_network_config.as_ref()?;
    let interface = container.host_interface(name)?;
    let bridged = interface.starts_with("vb-");
    let mut file = UnitFile::default();

    let matched = file.section("Match");
    matched.set("Driver", "veth");
    matched.set("Name", interface);
    add(matched, config.section("Match"));

    let link = file.section("Link");
    link.set("RequiredForOnline", "no");
    add(link, config.section("Link"));

    let network = file.section("Network");
    for (key, value) in if bridged { BRIDGED } else { CABLE } {
        network.set(key, *value);
    }
    if !bridged {
        // A free address of some private range; an empty Address= in the options removes it.
        network.set("Address", "0.0.0.0/28");
    }
    add(network, config.section("Network"));
    for (key, value) in config.values() {
        network.set(key, value);
    }

    let mut further = config.further_sections();
    if systemd >= RUNTIME_LEASES
        && !bridged
        && !further.iter().any(|section| sets(section, "DHCPServer", "PersistLeases"))
    {
        let at = further.iter().position(|section| section.name == "DHCPServer").unwrap_or_else(|| {
            further.insert(0, Section { name: "DHCPServer".to_owned(), items: Vec::new() });
            0
        });
        further[at].items.insert(0, Item::Setting { key: "PersistLeases".into(), value: "runtime".into() });
    }
    file.sections.extend(further);
    Some(file)
}

/// Adds settings to a section with defaults. A given setting replaces the default; a given address is added to it.
fn add(section: &mut Section, settings: Option<&FreeSettings>) {
    let Some(settings) = settings else { return };
    section.remove_if(|key, _| key != "Address" && settings.sets(key));
    settings.write_to(section);
}

fn sets(section: &Section, name: &str, key: &str) -> bool {
    section.name == name
        && section.items.iter().any(|item| matches!(item, Item::Setting { key: own, .. } if own == key))
}
