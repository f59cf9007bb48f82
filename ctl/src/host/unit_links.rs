//! Links in the administrator's unit directory that concern a container: enablements and masks.

use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::host::Host;

/// Returns links made by `systemctl enable`: they outlive the container and would start the bare template.
pub(crate) fn enabled_links(host: &Host, name: &MachineName) -> Vec<PathBuf> {
    let unit = unit_name(name);
    let Ok(entries) = fs::read_dir(host.unit_links()) else { return Vec::new() };
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| {
            extension == "wants" || extension == "requires" || extension == "upholds"
        })
    });
    let mut links: Vec<PathBuf> = folders
        .map(|folder| folder.join(&unit))
        .filter(|link| fs::symlink_metadata(link).is_ok_and(|metadata| metadata.is_symlink()))
        // A link to /dev/null is a mask, not an enablement.
        .filter(|link| fs::read_link(link).is_ok_and(|target| target != Path::new("/dev/null")))
        .collect();
    links.sort();
    links
}

/// Returns whether `systemctl mask` prevents the container from starting.
pub(crate) fn masked(host: &Host, name: &MachineName) -> bool {
    unit_masked(host, &unit_name(name))
}

/// Whether `systemctl mask` keeps a unit from starting.
pub(crate) fn unit_masked(host: &Host, unit: &str) -> bool {
    [host.unit_links(), host.path(host.scope.runtime_units)]
        .iter()
        .any(|folder| fs::read_link(folder.join(unit)).is_ok_and(|target| target == Path::new("/dev/null")))
}

/// Returns a path below the root as the system itself would name it.
pub(crate) fn system_path(host: &Host, path: &Path) -> String {
    Path::new("/").join(path.strip_prefix(&host.root).unwrap_or(path)).display().to_string()
}
