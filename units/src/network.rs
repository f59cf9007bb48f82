//! The .network files of systemd-networkd for the host's end of a container's virtual Ethernet link, or for the bridge
//! of its zone (`systemd.network(5)`). They replace the files that systemd ships for all of these, and begin with the
//! same settings, except that only IPv4 is masqueraded unless the options ask for IPv6: forwarding IPv6 costs a host
//! the default route that it has from router advertisements.

use crate::intent::{Container, FreeSettings, HostNetworkConfig};
use crate::name::MachineName;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::{Item, Section, UnitFile};

/// Sorts the file before systemd's own `80-container-*` and after an administrator's `10-*`; networkd takes the first
/// file that matches.
pub fn file_name(name: &MachineName) -> String {
    format!("{PREFIX}{name}{ENDING}")
}

/// Returns the container that a file of this name belongs to.
pub fn container_of(file_name: &str) -> Option<MachineName> {
    file_name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?.parse().ok()
}

/// Returns the bridge of the zone that a file of this name belongs to.
pub fn zone_bridge_of(file_name: &str) -> Option<&str> {
    file_name.strip_prefix(ZONE_PREFIX)?.strip_suffix(ENDING).filter(|bridge| bridge.starts_with("vz-"))
}

pub(crate) const PREFIX: &str = "50-nixos-nspawn-";
/// A different number, since a container may have the name of a bridge.
const ZONE_PREFIX: &str = "51-nixos-nspawn-";
pub(crate) const ENDING: &str = ".network";

/// systemd's own settings for the host's end of a network of its own (`80-container-ve.network`,
/// `80-container-vz.network`), but for IPMasquerade=, IPv6SendRA= and LinkLocalAddressing=.
const OWN_NETWORK: &[(&str, &str)] =
    &[("DHCPServer", "yes"), ("EmitLLDP", "customer-bridge"), ("IPv6AcceptRA", "no"), ("LLDP", "yes")];

/// systemd's own settings for an interface in a bridge (`80-container-vb.network`).
const BRIDGED: &[(&str, &str)] =
    &[("EmitLLDP", "nearest-bridge"), ("KeepMaster", "yes"), ("LLDP", "yes"), ("LinkLocalAddressing", "no")];

/// The first systemd known to ship `PersistLeases=runtime` in its own files; 257 refuses it, versions in between are
/// untested.
pub const RUNTIME_LEASES: u32 = 262;

/// A file for networkd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEnd {
    /// The file's name.
    pub file_name: String,
    /// Its settings. The caller adds comments.
    pub file: UnitFile,
}

/// Returns networkd's file for a container: that of its own interface, or that of its zone's bridge. An interface in
/// another bridge has one only if the options ask for it, because systemd's own file suffices.
pub fn host_end(name: &MachineName, container: &Container, systemd: u32) -> Option<HostEnd> {
    if let Some(file) = network_file(name, container, systemd) {
        return Some(HostEnd { file_name: file_name(name), file });
    }
    Some(zone_end(container.zone_name()?, systemd))
}

/// The interfaces on which networkd makes the host forward IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6Forwarding {
    /// On all interfaces.
    Everywhere,
    /// On the container's interface only, which sends router advertisements.
    Interface,
}

/// Returns where networkd forwards IPv6 for the container's network; nowhere by default.
pub fn ipv6_forwarding(name: &MachineName, container: &Container) -> Option<Ipv6Forwarding> {
    let end = host_end(name, container, 0)?;
    let last = |key| end.file.values("Network", key).last();
    let everywhere = last("IPMasquerade").is_some_and(|value| value == "ipv6" || value == "both")
        || last("IPv6Forwarding").and_then(parse_boolean) == Some(true)
        || last("IPForward").is_some_and(|value| value == "ipv6" || parse_boolean(value) == Some(true));
    if everywhere {
        return Some(Ipv6Forwarding::Everywhere);
    }
    (last("IPv6SendRA").and_then(parse_boolean) == Some(true)).then_some(Ipv6Forwarding::Interface)
}

/// Returns the file of the container's own interface for that version of systemd, if it needs one.
pub fn network_file(name: &MachineName, container: &Container, systemd: u32) -> Option<UnitFile> {
    let config = container.host_network_config.as_ref();
    let interface = container.host_interface(name)?;
    let bridged = interface.starts_with("vb-");
    if bridged && config.is_none() {
        return None;
    }
    let mut file = UnitFile::default();

    let matched = file.section("Match");
    matched.set("Driver", "veth");
    matched.set("Name", interface);
    add(matched, config.and_then(|config| config.section("Match")));

    let link = file.section("Link");
    link.set("RequiredForOnline", "no");
    add(link, config.and_then(|config| config.section("Link")));

    let network = file.section("Network");
    if bridged {
        BRIDGED.iter().for_each(|(key, value)| {
            network.set(*key, *value);
        });
    } else {
        let ipv6 = config.is_some_and(HostNetworkConfig::asks_for_ipv6);
        // With options, the value is that of python-nixos-nspawn.
        let link_local = if config.is_some() { "ipv6" } else { "yes" };
        own_network(network, ipv6, link_local, "0.0.0.0/28");
    }
    add(network, config.and_then(|config| config.section("Network")));
    for (key, value) in config.into_iter().flat_map(HostNetworkConfig::values) {
        network.set(key, value);
    }

    let Some(config) = config else {
        add_leases(&mut file, systemd);
        return Some(file);
    };
    let mut further = config.further_sections();
    if systemd >= RUNTIME_LEASES
        && !bridged
        && !further.iter().any(|section| sets(section, "DHCPServer", "PersistLeases"))
    {
        let at = further.iter().position(|section| section.name == "DHCPServer").unwrap_or_else(|| {
            further.insert(0, Section { name: "DHCPServer".into(), items: Vec::new() });
            0
        });
        further[at].items.insert(0, Item::Setting { key: "PersistLeases".into(), value: "runtime".into() });
    }
    file.sections.extend(further);
    Some(file)
}

/// Returns the file of a zone's bridge, the same for all of its containers.
pub(crate) fn zone_end(zone: &str, systemd: u32) -> HostEnd {
    let mut file = UnitFile::default();
    let matched = file.section("Match");
    matched.set("Kind", "bridge");
    matched.set("Name", format!("vz-{zone}"));
    file.section("Link").set("RequiredForOnline", "no");
    let network = file.section("Network");
    own_network(network, false, "yes", "0.0.0.0/24");
    // The bridge loses its carrier for a moment while its first member starts. networkd would then give it another
    // address, and a container that already has a lease would not notice.
    network.set("IgnoreCarrierLoss", "yes");
    add_leases(&mut file, systemd);
    HostEnd { file_name: format!("{ZONE_PREFIX}vz-{zone}{ENDING}"), file }
}

/// Adds the defaults of a network of its own. An address of zeros means a free one in a private range; an empty
/// Address= in the options removes it.
fn own_network(network: &mut Section, ipv6: bool, link_local: &str, address: &str) {
    for (key, value) in OWN_NETWORK {
        network.set(*key, *value);
    }
    network.set("IPMasquerade", if ipv6 { "both" } else { "ipv4" });
    // networkd lets an interface that sends router advertisements forward, and the kernel then drops the host's own default
    // routes of router advertisements until the next one.
    network.set("IPv6SendRA", if ipv6 { "yes" } else { "no" });
    network.set("LinkLocalAddressing", link_local);
    network.set("Address", address);
}

/// Adds the settings that systemd's own files have since that version.
fn add_leases(file: &mut UnitFile, systemd: u32) {
    if systemd >= RUNTIME_LEASES {
        let server = file.section("DHCPServer");
        server.set("PersistLeases", "runtime");
        server.set("LocalLeaseDomain", "_dhcp");
    }
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
