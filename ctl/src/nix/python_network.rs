//! Carries over the network of a python-nixos-nspawn profile: its settings, and its file for networkd.

use anyhow::Result;
use nixos_nspawn_units::intent::Container;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::network_file;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::{Item, Section, UnitFile};

/// Carries over network settings. Any of them replaces the whole network setup of the template (nspawn-settings.c);
/// without `Private=` the others then decide whether the container has a private network.
pub(crate) fn network(theirs: &UnitFile, container: &mut Container) -> Result<()> {
    const DECIDING: [&str; 9] = [
        "Private",
        "VirtualEthernet",
        "VirtualEthernetExtra",
        "Bridge",
        "Zone",
        "Interface",
        "MACVLAN",
        "IPVLAN",
        "NamespacePath",
    ];
    let given = |key: &'static str| theirs.values("Network", key).last().filter(|value| !value.is_empty());
    if !DECIDING.iter().any(|key| given(key).is_some()) {
        return Ok(());
    }
    let yes = |key: &'static str| given(key).is_some_and(|value| parse_boolean(value) == Some(true));
    let ethernet = yes("VirtualEthernet") || given("Bridge").is_some() || given("Zone").is_some();
    let others = DECIDING[2..].iter().any(|key| given(key).is_some());
    let private = yes("Private") || ethernet || others;
    let network = &mut container.nspawn_config.network;
    if !private && network.get("Private").is_none() {
        network.add("Private", "no")?;
    }
    if !ethernet && network.get("VirtualEthernet").is_none() {
        network.add("VirtualEthernet", "no")?;
    }
    Ok(())
}

/// Carries over lines that somebody added to the file for networkd; the others follow from data.json.
pub(crate) fn host_network(
    theirs: &UnitFile,
    name: &MachineName,
    container: &mut Container,
    left_out: &mut Vec<String>,
) {
    // For a bridged container the file never matched, since it names the interface of an unbridged one.
    if container.bridge.is_some() || container.zone.is_some() {
        left_out.extend(theirs.settings().map(|(section, key, _)| format!("[{section}] {key}=")));
        return;
    }
    let mut config = container.host_network_config.clone().unwrap_or_default();
    container.host_network_config = Some(config.clone());
    // The builder of python-nixos-nspawn masquerades and announces IPv6 in every file, which would cost hosts the
    // routes from router advertisements. We do so only if the options ask for it; a setting of the container's
    // author is in data.json, and so among the options.
    let masquerade = |file: &UnitFile| file.values("Network", "IPMasquerade").last().map(str::to_owned);
    let own = masquerade(&network_file(name, container, u32::MAX).unwrap_or_default());
    if let Some(value) = masquerade(theirs).filter(|value| value != "both" && Some(value) != own.as_ref()) {
        if config.set_network("IPMasquerade", &value).is_ok() {
            container.host_network_config = Some(config.clone());
        }
    }
    let ours = network_file(name, container, u32::MAX).unwrap_or_default();
    let mut by_section: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    for section in &theirs.sections {
        let file = UnitFile { header: Vec::new(), sections: vec![section.clone()] };
        let has = |own: &Section, key: &str, value: &str| {
            let file = UnitFile { header: Vec::new(), sections: vec![own.clone()] };
            file.values(&own.name, key).any(|mine| same_value(mine, value))
        };
        let same_name = || ours.sections.iter().filter(|own| own.name == section.name);
        if same_name().any(|own| file.settings().all(|(_, key, value)| has(own, key, value))) {
            continue;
        }
        let mut added: Vec<(&str, &str)> = Vec::new();
        for item in &section.items {
            let Item::Setting { key, value } = item else { continue };
            // These sections are merged per file; the others may be repeated.
            let one = ["Match", "Link", "Network", "DHCPServer"].contains(&section.name.as_ref());
            match (section.name.as_ref(), key.as_ref()) {
                ("Match", "Name" | "Driver") | ("Network", "IPMasquerade") => {}
                ("Network", "IPv6SendRA") if parse_boolean(value) == Some(true) => {}
                _ if one && same_name().any(|own| has(own, key, value)) => {}
                _ => added.push((key, value)),
            }
        }
        if !added.is_empty() {
            by_section.push((&section.name, added));
        }
    }
    for (section, settings) in by_section {
        let lines: String = settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        if config.add_lines(&format!("[{section}]\n{lines}")).is_err() {
            left_out.extend(settings.iter().map(|(key, _)| format!("[{section}] {key}=")));
        }
    }
    container.host_network_config = Some(config);
}

pub(crate) fn same_value(a: &str, b: &str) -> bool {
    a == b || parse_boolean(a).is_some_and(|a| Some(a) == parse_boolean(b))
}
