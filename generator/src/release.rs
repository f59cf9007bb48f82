//! Cleans up after a container has stopped: removes its settings and mounts in /run, the GC root of the system it ran,
//! and what nspawn could not remove of its snapshot. Removes only what is marked as ours. Missing files are no error,
//! since this also runs after a start that failed half way.

mod snapshot;

use std::io::ErrorKind;
use std::path::Path;

use nixos_nspawn_units::copies::{self, running_root};
use nixos_nspawn_units::name::MachineName;

use crate::failure::Failure;
use crate::log::Log;
use crate::prepare::credentials;

/// Removes what [`crate::prepare`] put in place, except for directories that may hold data.
pub(crate) fn release(root: &Path, name: &MachineName, log: &Log) -> Result<(), Failure> {
    credentials::explain(root, name, log);
    match std::fs::remove_file(running_root(root, name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            log.warning(&format!("{}: cannot be removed: {error}", running_root(root, name).display()));
        }
        _ => {}
    }
    snapshot::remove(root, name, log);
    if let Err(error) = copies::remove_devices(root, name) {
        log.warning(&format!(
            "{}: cannot be removed: {error}",
            copies::devices_directory(root, name).display()
        ));
    }
    if let Err(error) = copies::remove_host_nix(root, name) {
        log.warning(&format!(
            "{}: cannot be removed: {error}",
            copies::host_nix_directory(root, name).display()
        ));
    }
    if let Err(error) = copies::remove_binds(root, name) {
        log.warning(&format!(
            "{}: cannot be removed: {error}",
            copies::binds_directory(root, name).display()
        ));
    }
    copies::remove(root, name).map(|_| ()).map_err(|error| {
        Failure::new(format!("{}: cannot be removed: {error}", copies::copy_path(root, name).display()))
    })
}
