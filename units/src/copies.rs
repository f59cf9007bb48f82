//! Manages what exists in /run while a container is active: copies of generated files and of devices, and mounts of the
//! host's Nix and of bind sources; networkd's copy exists while the container has an intent. Files are replaced or
//! removed only if their first line, or their place, proves that they are ours.

mod intended;
mod mounts;
mod networkd;
mod own_file;
mod running;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::name::MachineName;
use crate::nspawn::files::{BINDS, DEVICES};
use crate::nspawn::host_nix::HOST_NIX;

pub use intended::intended;
pub use mounts::{
    binds_directory, devices_directory, host_nix_directory, remove_binds, remove_devices, remove_host_nix,
};
pub use networkd::{
    NETWORK_DIRECTORY, NetworkText, generated_network, leftover_networks, network_of, network_path,
    own_network_path, put_network, sweep_networks,
};
pub use own_file::{GENERATOR_DIRECTORY, REFILL, generated, marked};
use own_file::{place, remove_marked};
pub use running::runs;

/// Where nspawn looks for settings that last until the reboot (`systemd.nspawn(5)`).
pub const NSPAWN_DIRECTORY: &str = "run/systemd/nspawn";

/// The directory of GC roots of systems that are recorded or run.
pub const GC_ROOTS: &str = "nix/var/nix/gcroots/nixos-nspawn";

/// Returns the GC root of the running system, which keeps the host's garbage collector from deleting it.
pub fn running_root(root: &Path, name: &MachineName) -> PathBuf {
    root.join(GC_ROOTS).join(format!("{name}-running"))
}

/// Returns the path of the copy of the container's settings.
pub fn copy_path(root: &Path, name: &MachineName) -> PathBuf {
    root.join(NSPAWN_DIRECTORY).join(format!("{name}.nspawn"))
}

/// Writes the text atomically; fails if a file of that name exists that is not ours.
pub fn put(root: &Path, name: &MachineName, text: &[u8]) -> io::Result<()> {
    place(&root.join(NSPAWN_DIRECTORY), &format!("{name}.nspawn"), text)
}

/// Removes the copy; returns whether there was one of ours.
pub fn remove(root: &Path, name: &MachineName) -> io::Result<bool> {
    remove_marked(&copy_path(root, name))
}

/// Removes leftovers of containers that are neither `kept` nor run. Deleting the intent, or masking the generator, makes
/// systemd forget the drop-in whose `ExecStopPost=` would have cleaned up. Returns their names.
pub fn sweep(root: &Path, kept: impl Fn(&MachineName) -> bool) -> Vec<MachineName> {
    let listed = |directory: &str, ending: &str| listed(root, directory, ending);
    let stale = |name: &MachineName| !kept(name) && !runs(root, name);
    let mut swept: Vec<MachineName> = listed(NSPAWN_DIRECTORY, ".nspawn");
    swept.retain(|name| stale(name) && remove(root, name).unwrap_or(false));
    for name in listed(GC_ROOTS, "-running").iter().filter(|name| stale(name)) {
        let link = running_root(root, name);
        if fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink())
            && fs::remove_file(&link).is_ok()
        {
            swept.push(name.clone());
        }
    }
    for name in listed(DEVICES, "").into_iter().filter(|name| stale(name)) {
        if remove_devices(root, &name).unwrap_or(false) {
            swept.push(name);
        }
    }
    for name in listed(HOST_NIX, "").into_iter().filter(|name| stale(name)) {
        if remove_host_nix(root, &name).unwrap_or(false) {
            swept.push(name);
        }
    }
    for name in listed(BINDS, "").into_iter().filter(|name| stale(name)) {
        if remove_binds(root, &name).unwrap_or(false) {
            swept.push(name);
        }
    }
    swept.sort();
    swept.dedup();
    swept
}

/// Returns what [`sweep`] would remove.
pub fn leftovers(root: &Path, kept: impl Fn(&MachineName) -> bool) -> Vec<PathBuf> {
    let stale = |name: &MachineName| !kept(name) && !runs(root, name);
    let mut found = Vec::new();
    for name in listed(root, NSPAWN_DIRECTORY, ".nspawn").iter().filter(|name| stale(name)) {
        let path = copy_path(root, name);
        if marked(&path).is_ok_and(|mark| mark.is_some()) {
            found.push(path);
        }
    }
    found.extend(
        listed(root, GC_ROOTS, "-running")
            .iter()
            .filter(|name| stale(name))
            .map(|name| running_root(root, name)),
    );
    for directory in [DEVICES, HOST_NIX, BINDS] {
        let names = listed(root, directory, "");
        found.extend(
            names.iter().filter(|name| stale(name)).map(|name| root.join(directory).join(name.as_str())),
        );
    }
    found
}

/// Returns the containers whose names, with an ending, are those of entries of a directory.
fn listed(root: &Path, directory: &str, ending: &str) -> Vec<MachineName> {
    let entries = fs::read_dir(root.join(directory)).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(ending)?.parse().ok()).collect()
}
