//! The files of running containers in /run.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::copies::{copy_path, marked, runs};
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::host::files::{names_in, remove_file};
use crate::host::networkd;

/// Returns the mark of the settings that nspawn was given, or `None` if they are not ours.
pub(crate) fn mark(host: &Host, name: &MachineName) -> Option<String> {
    marked(&copy_path(&host.root, name)).ok().flatten()
}

/// Removes all files that a container's start has made.
pub(crate) fn remove_all(host: &Host, name: &MachineName) -> Result<()> {
    let root = &host.root;
    copies::remove(root, name)
        .with_context(|| format!("{}: cannot be removed", copy_path(root, name).display()))?;
    networkd::remove(host, name);
    copies::remove_devices(root, name)
        .with_context(|| format!("{}: cannot be removed", copies::devices_directory(root, name).display()))?;
    remove_file(&copies::running_root(root, name))?;
    copies::remove_host_nix(root, name)
        .map(drop)
        .with_context(|| format!("{}: cannot be removed", copies::host_nix_directory(root, name).display()))
}

/// Removes temporary files of killed commands, except for containers that a command is working on.
pub(crate) fn sweep_unfinished(host: &Host, free: impl Fn(&MachineName) -> bool) {
    for (name, path) in unfinished(host) {
        if free(&name) {
            let _ = fs::remove_file(path);
        }
    }
    // After a power failure, for a container that has not started again.
    let boot = booted_at(host);
    for file in names_in(&host.gc_roots()).unwrap_or_default() {
        let Some(name) = file.strip_suffix("-running").and_then(|name| name.parse::<MachineName>().ok())
        else {
            continue;
        };
        let link = host.gc_roots().join(&file);
        let made = fs::symlink_metadata(&link).and_then(|link| link.modified()).ok();
        let older = made.zip(boot).is_some_and(|(made, boot)| made < boot);
        if older && !runs(&host.root, &name) && free(&name) {
            let _ = fs::remove_file(link);
        }
    }
}

/// Returns the temporary files, and the containers that they belong to.
pub(crate) fn unfinished(host: &Host) -> Vec<(MachineName, PathBuf)> {
    let mut found = Vec::new();
    for folder in [host.intents(), host.gc_roots()] {
        let files = names_in(&folder).unwrap_or_default();
        found.extend(files.iter().filter_map(|file| Some((unfinished_of(file)?, folder.join(file)))));
    }
    found
}

/// Returns the container that a temporary file belongs to: `.NAME.json.new`, `..NAME.creating.new`,
/// `.NAME-running.new`.
fn unfinished_of(file: &str) -> Option<MachineName> {
    let name = file.strip_prefix('.')?.strip_suffix(".new")?;
    let name = name.strip_prefix('.').unwrap_or(name);
    let endings = [".json", ".creating", ".updating", ".removing", ".renaming", "-running"];
    let plain = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let plain = plain
        .rsplit_once("-pin-")
        .filter(|(_, number)| number.parse::<u64>().is_ok())
        .map_or(plain, |(name, _)| name);
    plain.parse().ok()
}

/// Returns when the host was booted (`proc_stat(5)`).
fn booted_at(host: &Host) -> Option<SystemTime> {
    let text = fs::read_to_string(host.path("/proc/stat")).ok()?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::unfinished_of;

    #[test]
    fn temporary_files_belong_to_containers() {
        for file in [
            ".web.json.new",
            "..web.creating.new",
            "..web.updating.new",
            "..web.renaming.new",
            ".web.new",
            ".web-running.new",
            ".web-pin-3.new",
        ] {
            assert_eq!(unfinished_of(file).unwrap().as_str(), "web", "{file}");
        }
        for file in ["web.json", ".web.json", ".web.updating", "web.new", ".new", "..new"] {
            assert_eq!(unfinished_of(file), None, "{file}");
        }
    }
}
