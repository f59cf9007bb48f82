//! Links in the administrator's unit directory that concern a container: enablements and masks.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::host::Host;
use crate::host::files::names_in;

/// Returns links made by `systemctl enable`: they outlive the container and would start the bare template.
pub(crate) fn enabled_links(host: &Host, name: &MachineName) -> Result<Vec<PathBuf>> {
    Ok(all_enabled_links(host)?.remove(&unit_name(name)).unwrap_or_default())
}

/// Returns the links of all containers, by their units.
pub(crate) fn all_enabled_links(host: &Host) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut links: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let top = host.unit_links();
    for folder in names_in(&top)?.into_iter().filter(|name| starts_units(name)) {
        let folder = top.join(folder);
        match fs::metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            // systemd ignores a file of such a name as well.
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| folder.display().to_string()),
        }
        for unit in names_in(&folder)?.into_iter().filter(|unit| unit.starts_with("systemd-nspawn@")) {
            let link = folder.join(&unit);
            match fs::read_link(&link) {
                // A link to /dev/null is a mask, not an enablement.
                Ok(target) if target == Path::new("/dev/null") => {}
                Ok(_) => links.entry(unit).or_default().push(link),
                // The link is gone, or this is a file.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
                Err(error) => return Err(error).with_context(|| link.display().to_string()),
            }
        }
    }
    Ok(links)
}

/// Returns the link that enables another container in the same way.
pub(crate) fn renamed_link(link: &Path, to: &MachineName) -> PathBuf {
    link.with_file_name(unit_name(to))
}

/// Returns whether links in a directory of this name start units (`systemd.unit(5)`).
fn starts_units(folder: &str) -> bool {
    [".wants", ".requires", ".upholds"].iter().any(|ending| folder.ends_with(ending))
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
