//! Profiles of python-nixos-nspawn: besides data.json they contain a .nspawn file, a drop-in and possibly a .network
//! file. Settings that do not follow from data.json are carried over as free-form settings; those that serve only its
//! own machinery are left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Container, FreeSettings, Intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::network_file;
use nixos_nspawn_units::nspawn::nspawn_file;
use nixos_nspawn_units::service::DEFAULT_TIMEOUT;
use nixos_nspawn_units::syntax::settings::{parse_boolean, setting};
use nixos_nspawn_units::syntax::{Item, Section, UnitFile, parse};
use nixos_nspawn_units::value::{AbsolutePath, StorePath};

use crate::base::host::Host;
use crate::base::tree::read_of_store;

/// Returns data.json without the options that python-nixos-nspawn accepts but does not use: it writes no `.network`
/// file for a container in a zone. Our own profiles, which have a version, are returned unchanged.
pub(crate) fn data(bytes: Vec<u8>, path: &Path, warnings: &mut Vec<String>) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut data)) = serde_json::from_slice(&bytes) else { return bytes };
    let is_set = |option: &str| data.get(option).is_some_and(|value| !value.is_null());
    if is_set("version") || !is_set("zone") || !is_set("hostNetworkConfig") {
        return bytes;
    }
    data.remove("hostNetworkConfig");
    warnings.push(format!("{}: hostNetworkConfig has no effect in a zone and is left out", path.display()));
    serde_json::Value::Object(data).to_string().into_bytes()
}

/// Adds the settings of the files in `folder` to the options.
pub(crate) fn take_over(
    host: &Host,
    folder: &Path,
    name: &MachineName,
    toplevel: &StorePath,
    container: &mut Container,
    warnings: &mut Vec<String>,
    left_out: &mut Vec<String>,
) -> Result<()> {
    if let Some(path) = only(folder, ".nspawn")? {
        let their_name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let theirs = read(host, &path, warnings)?;
        let ours = nspawn_file(&Intent {
            container: container.clone(),
            ..Intent::new(name.clone(), toplevel.clone())
        })?;
        settings(&theirs, &ours, &their_name, name, container)?;
    }
    if let Some(path) = only(folder, ".network")? {
        host_network(&read(host, &path, warnings)?, name, container, left_out);
    }
    if let Some(path) = only(folder, "service-overrides.conf")? {
        overrides(&read(host, &path, warnings)?, container, left_out)?;
    }
    Ok(())
}

fn only(folder: &Path, ending: &str) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    Ok(found.into_iter().next())
}

fn read(host: &Host, path: &Path, warnings: &mut Vec<String>) -> Result<UnitFile> {
    let inside = path.strip_prefix(&host.root).unwrap_or(path);
    let bytes = read_of_store(&host.root, inside).with_context(|| path.display().to_string())?;
    let parsed =
        parse(&bytes).map_err(|error| anyhow::anyhow!("{}", error.at(path.display().to_string())))?;
    warnings.extend(parsed.warnings.iter().map(|warning| format!("{}: {warning}", path.display())));
    Ok(parsed.file)
}

fn settings(
    theirs: &UnitFile,
    ours: &UnitFile,
    their_name: &str,
    name: &MachineName,
    container: &mut Container,
) -> Result<()> {
    let last =
        |file: &UnitFile, section: &str, key: &str| file.values(section, key).last().map(str::to_owned);
    let off = |value: Option<String>| value.is_none_or(|value| parse_boolean(&value) == Some(false));
    let namespaced = !off(last(theirs, "Exec", "PrivateUsers"));
    let their_root = format!("/var/lib/machines/{their_name}");
    let mut done = Vec::new();
    for (section, key, value) in theirs.settings() {
        let Some(known) = setting(section, key) else { continue };
        match (section, key) {
            // The system is named by the intent, and how nspawn runs it is the same for all containers.
            ("Exec", "Boot" | "Parameters") => continue,
            // Without a user namespace the setting has no effect, and python-nixos-nspawn always writes it.
            ("Files", "PrivateUsersOwnership") if !namespaced => continue,
            _ => {}
        }
        let value = value.replace(&their_root, &format!("/var/lib/machines/{name}"));
        if known.list {
            let in_force = ours.values(section, key).any(|own| same_list_value(key, own, &value));
            if !in_force {
                free(container, section).add(key, &value)?;
            }
        } else if !done.contains(&(section, key)) {
            done.push((section, key));
            // The last assignment of a scalar wins.
            let value = last(theirs, section, key).unwrap_or(value);
            if !last(ours, section, key).is_some_and(|own| same_value(&own, &value)) {
                free(container, section).add(key, &value)?;
            }
        }
    }
    network(theirs, container)
}

/// Carries over network settings. Any of them replaces the whole network setup of the template (nspawn-settings.c);
/// without `Private=` the others then decide whether the container has a private network.
fn network(theirs: &UnitFile, container: &mut Container) -> Result<()> {
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
fn host_network(
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
    // Its default masquerades IPv6 as well, ours only what the options ask for.
    let masquerade = |file: &UnitFile| file.values("Network", "IPMasquerade").last().map(str::to_owned);
    let own = masquerade(&network_file(name, container, u32::MAX).unwrap_or_default());
    if let Some(value) = masquerade(theirs).filter(|value| Some(value) != own.as_ref()) {
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
            let one = ["Match", "Link", "Network", "DHCPServer"].contains(&section.name.as_str());
            match (section.name.as_str(), key.as_str()) {
                ("Match", "Name" | "Driver") => {}
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

fn free<'a>(container: &'a mut Container, section: &str) -> &'a mut FreeSettings {
    match section {
        "Exec" => &mut container.nspawn_config.exec,
        "Files" => &mut container.nspawn_config.files,
        _ => &mut container.nspawn_config.network,
    }
}

fn same_value(a: &str, b: &str) -> bool {
    a == b || parse_boolean(a).is_some_and(|a| Some(a) == parse_boolean(b))
}

/// Returns whether two values mean the same: `Bind=/a` equals `Bind=/a:/a`, and options without effect are ignored.
fn same_list_value(key: &str, own: &str, theirs: &str) -> bool {
    if own == theirs {
        return true;
    }
    if !matches!(key, "Bind" | "BindReadOnly") {
        return false;
    }
    let parts = |text: &str| {
        let fields = nixos_nspawn_units::syntax::words::bind_fields(text).ok()?;
        Some((fields.source.clone(), fields.destination.unwrap_or(fields.source)))
    };
    parts(own).is_some_and(|own| Some(own) == parts(theirs))
}

/// Settings that its drop-in always contains for its own machinery.
const OWN_LINES: [&str; 4] = ["ExecStart", "ExecStartPre", "X-Restart-Triggers", "X-RestartIfChanged"];
const OWN_ENVIRONMENT: [&str; 4] = ["PATH", "LOCALE_ARCHIVE", "TZDIR", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"];

fn overrides(file: &UnitFile, container: &mut Container, left_out: &mut Vec<String>) -> Result<()> {
    for (section, key, value) in file.settings() {
        match (section, key) {
            _ if OWN_LINES.contains(&key) => left_out.push(format!("[{section}] {key}=")),
            ("Service", "TimeoutStartSec") => {
                // It writes its default into every file, so this value says nothing about the container.
                if container.timeout_start_sec.is_none() && value != DEFAULT_TIMEOUT {
                    container.timeout_start_sec = Some(value.parse()?);
                }
            }
            ("Service", "ExecReload") => {
                // The default is the same as ours, and data.json has a custom script.
                let default = value.contains("/bin/systemd-run ")
                    && value.contains("/bin/switch-to-configuration test");
                let script = container.activation.reload_script.as_ref().map(AbsolutePath::as_str);
                if !default && !value.is_empty() && script != Some(value) {
                    container.service_config.add(key, value)?;
                }
            }
            ("Service", "Environment") => {
                let variable = value.trim_matches('"').split('=').next().unwrap_or_default();
                if OWN_ENVIRONMENT.contains(&variable) {
                    left_out.push(format!("[{section}] {key}={variable}"));
                } else {
                    container.service_config.add(key, value)?;
                }
            }
            ("Service", _) => container.service_config.add(key, value)?,
            ("Unit", _) => container.unit_config.add(key, value)?,
            _ => left_out.push(format!("[{section}] {key}=")),
        }
    }
    left_out.dedup();
    Ok(())
}
