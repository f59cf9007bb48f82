//! Profiles of python-nixos-nspawn: besides data.json they contain a .nspawn file, a drop-in and possibly a .network
//! file. Settings that do not follow from data.json are carried over as free-form settings; those that serve only its
//! own machinery are left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Container, FreeSettings, Intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::{host_nix, nspawn_file};
use nixos_nspawn_units::value::StorePath;
use systemd_unit_syntax::settings::{Kind, parse_boolean, setting};
use systemd_unit_syntax::{UnitFile, parse};

use crate::base::host::Host;
use crate::base::tree::read_of_store;
use crate::nix::python_network::{host_network, network, same_value};
use crate::nix::python_service::{overrides, unusable};

/// Returns data.json without the options that python-nixos-nspawn accepts but does not use: it writes no `.network`
/// file for a container in a zone. Our own profiles, which have a version, are returned unchanged.
pub(crate) fn data(bytes: Vec<u8>, path: &Path, warnings: &mut Vec<String>) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut data)) = serde_json::from_slice(&bytes) else { return bytes };
    // A field may occur twice, which only a check of the whole file detects.
    if nixos_nspawn_units::intent::parse_data(&bytes).is_err() {
        return bytes;
    }
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
        settings(&path, &theirs, &ours, &their_name, name, container)?;
    }
    if let Some(path) = only(folder, ".network")? {
        host_network(&read(host, &path, warnings)?, name, container, left_out);
    }
    if let Some(path) = only(folder, "service-overrides.conf")? {
        overrides(&path, &read(host, &path, warnings)?, container, left_out)?;
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
    path: &Path,
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
    let mut done = Vec::new();
    for (section, key, value) in theirs.settings() {
        let Some(known) = setting(section, key) else { continue };
        match (section, key) {
            // The system is named by the intent, and how nspawn runs it is the same for all containers.
            ("Exec", "Boot" | "Parameters") => continue,
            // The builder of python-nixos-nspawn writes this into every file, and nspawn then fails on a host
            // without a persistent journal.
            ("Exec", "LinkJournal") if value == "guest" => continue,
            // Without a user namespace the setting has no effect, and python-nixos-nspawn always writes it.
            ("Files", "PrivateUsersOwnership") if !namespaced => continue,
            // Every container has these mounts of ours.
            ("Files", "Bind" | "BindReadOnly") if host_nix::is_repeated(key, value, container) => continue,
            _ => {}
        }
        let value = match known.kind {
            Kind::Mount
            | Kind::Overlay
            | Kind::Path
            | Kind::PivotRoot
            | Kind::RawPath
            | Kind::TemporaryFileSystem => moved(value, their_name, name),
            _ => value.to_owned(),
        };
        if known.list {
            let in_force = ours.values(section, key).any(|own| same_list_value(key, own, &value));
            if !in_force {
                free(container, section)
                    .add(key, &value)
                    .map_err(|error| unusable(path, section, key, &error))?;
            }
        } else if !done.contains(&(section, key)) {
            done.push((section, key));
            // The last assignment of a scalar wins.
            let value = last(theirs, section, key).unwrap_or(value);
            if !last(ours, section, key).is_some_and(|own| same_value(&own, &value)) {
                free(container, section)
                    .add(key, &value)
                    .map_err(|error| unusable(path, section, key, &error))?;
            }
        }
    }
    network(theirs, container)
}

/// Returns a value with the paths below the root of `from` moved below the root of `to`. A path begins at the start of
/// the value or after a `:`, and the root must match whole components.
fn moved(value: &str, from: &str, to: &MachineName) -> String {
    let root = format!("/var/lib/machines/{from}");
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    let mut at_start = true;
    while let Some(c) = rest.chars().next() {
        if at_start {
            let behind =
                rest.strip_prefix(&root).filter(|behind| behind.is_empty() || behind.starts_with(['/', ':']));
            if let Some(behind) = behind {
                text.push_str(&format!("/var/lib/machines/{to}"));
                rest = behind;
                at_start = false;
                continue;
            }
        }
        // An escaped colon is not a separator.
        let length =
            if c == '\\' { 1 + rest[1..].chars().next().map_or(0, char::len_utf8) } else { c.len_utf8() };
        text.push_str(&rest[..length]);
        rest = &rest[length..];
        at_start = c == ':';
    }
    text
}

fn free<'a>(container: &'a mut Container, section: &str) -> &'a mut FreeSettings {
    match section {
        "Exec" => &mut container.nspawn_config.exec,
        "Files" => &mut container.nspawn_config.files,
        _ => &mut container.nspawn_config.network,
    }
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
        let fields = systemd_unit_syntax::words::bind_fields(text).ok()?;
        Some((fields.source.clone(), fields.destination.unwrap_or(fields.source)))
    };
    parts(own).is_some_and(|own| Some(own) == parts(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_move_by_component() {
        let moved = |value: &str| moved(value, "a", &"web".parse().unwrap());
        for (value, expected) in [
            ("/var/lib/machines/a:/data", "/var/lib/machines/web:/data"),
            ("/var/lib/machines/a/b", "/var/lib/machines/web/b"),
            ("/srv:/var/lib/machines/a/x:idmap", "/srv:/var/lib/machines/web/x:idmap"),
            // Other containers, and a path inside.
            ("/var/lib/machines/abc:/data", "/var/lib/machines/abc:/data"),
            ("/srv/var/lib/machines/a", "/srv/var/lib/machines/a"),
            (r"/srv\:/var/lib/machines/a", r"/srv\:/var/lib/machines/a"),
            ("", ""),
        ] {
            assert_eq!(moved(value), expected, "{value}");
        }
    }
}
