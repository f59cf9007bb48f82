//! Links in the administrator's unit directory that concern a container: enablements and masks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::host::Host;

/// Returns links made by `systemctl enable`: they outlive the container and would start the bare template.
pub(crate) fn enabled_links(host: &Host, name: &MachineName) -> Vec<PathBuf> {
    all_enabled_links(host).remove(&unit_name(name)).unwrap_or_default()
}

/// Returns the links of all containers, by their units.
pub(crate) fn all_enabled_links(host: &Host) -> BTreeMap<String, Vec<PathBuf>> {
    let mut links: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let Ok(entries) = fs::read_dir(host.unit_links()) else { return links };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| {
        path.extension().is_some_and(|extension| {
            extension == "wants" || extension == "requires" || extension == "upholds"
        })
    });
    folders.sort();
    for entry in folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
        let Ok(unit) = entry.file_name().into_string() else { continue };
        // A link to /dev/null is a mask, not an enablement.
        let enables = || fs::read_link(entry.path()).is_ok_and(|target| target != Path::new("/dev/null"));
        if unit.starts_with("systemd-nspawn@") && enables() {
            links.entry(unit).or_default().push(entry.path());
        }
    }
    links
}

/// Returns whether `systemctl mask` prevents the container from starting.
pub(crate) fn masked(host: &Host, name: &MachineName) -> bool {
    unit_masked(host, &unit_name(name))
}

/// Returns whether `systemctl mask` prevents a unit from starting.
pub(crate) fn unit_masked(host: &Host, unit: &str) -> bool {
    [host.unit_links(), host.path(host.scope.runtime_units)]
        .iter()
        .any(|folder| fs::read_link(folder.join(unit)).is_ok_and(|target| target == Path::new("/dev/null")))
}

/// Returns a path below the root as the system itself would name it.
pub(crate) fn system_path(host: &Host, path: &Path) -> String {
    Path::new("/").join(path.strip_prefix(&host.root).unwrap_or(path)).display().to_string()
}
