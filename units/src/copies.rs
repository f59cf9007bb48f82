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

/// What containers leave in a directory, by their names.
struct Remains {
    directory: &'static str,
    ending: &'static str,
    /// Whether it is ours, as far as the name does not tell.
    is_ours: fn(&Path) -> bool,
    /// Removes it; returns whether there was one of ours.
    remove: fn(&Path, &MachineName) -> io::Result<bool>,
}

const REMAINS: [Remains; 5] = [
    Remains {
        directory: NSPAWN_DIRECTORY,
        ending: ".nspawn",
        is_ours: |path| marked(path).is_ok_and(|mark| mark.is_some()),
        remove,
    },
    Remains {
        directory: GC_ROOTS,
        ending: "-running",
        is_ours: Path::is_symlink,
        remove: |root, name| fs::remove_file(running_root(root, name)).map(|()| true),
    },
    Remains { directory: DEVICES, ending: "", is_ours: |_| true, remove: remove_devices },
    Remains { directory: HOST_NIX, ending: "", is_ours: |_| true, remove: remove_host_nix },
    Remains { directory: BINDS, ending: "", is_ours: |_| true, remove: remove_binds },
];

/// Removes leftovers of containers that are neither `kept` nor run. Deleting the intent, or masking the generator, makes
/// systemd forget the drop-in whose `ExecStopPost=` would have cleaned up. Returns their names.
pub fn sweep(root: &Path, kept: impl Fn(&MachineName) -> bool) -> Vec<MachineName> {
    let mut swept: Vec<MachineName> = stale(root, kept)
        .filter(|(remains, name, _)| (remains.remove)(root, name).unwrap_or(false))
        .map(|(_, name, _)| name)
        .collect();
    swept.sort();
    swept.dedup();
    swept
}

/// Returns what [`sweep`] would remove.
pub fn leftovers(root: &Path, kept: impl Fn(&MachineName) -> bool) -> Vec<PathBuf> {
    stale(root, kept).map(|(_, _, path)| path).collect()
}

/// Iterates over what containers have left that are neither `kept` nor run.
fn stale(
    root: &Path,
    kept: impl Fn(&MachineName) -> bool,
) -> impl Iterator<Item = (&'static Remains, MachineName, PathBuf)> {
    let stale = move |name: &MachineName| !kept(name) && !runs(root, name);
    let all = REMAINS.iter().flat_map(move |remains| {
        let entries = fs::read_dir(root.join(remains.directory)).into_iter().flatten().flatten();
        let named = entries.filter_map(move |entry| {
            let name = entry.file_name().to_str()?.strip_suffix(remains.ending)?.parse().ok()?;
            Some((remains, name, entry.path()))
        });
        // The whole directory, before anything is removed from it.
        named.collect::<Vec<_>>()
    });
    all.filter(move |(remains, name, path)| stale(name) && (remains.is_ours)(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What is reported is what is removed, and nothing else is touched.
    #[test]
    fn leftovers_are_what_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for directory in [NSPAWN_DIRECTORY, GC_ROOTS] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let names = ["gone", "kept"].map(|name| name.parse::<MachineName>().unwrap());
        for name in &names {
            put(root, name, format!("# {}0\n", crate::plan::MARKER).as_bytes()).unwrap();
            symlink("/nix/store/x", running_root(root, name)).unwrap();
            for directory in [DEVICES, HOST_NIX, BINDS] {
                fs::create_dir_all(root.join(directory).join(name.as_str())).unwrap();
            }
        }
        let foreign = [
            root.join(NSPAWN_DIRECTORY).join("other.nspawn"),
            root.join(GC_ROOTS).join("other-running"),
            root.join(GC_ROOTS).join("gone"),
        ];
        for path in &foreign {
            fs::write(path, "[Exec]\n").unwrap();
        }
        let [gone, kept] = &names;
        let of = |name| {
            [
                copy_path(root, name),
                running_root(root, name),
                devices_directory(root, name),
                host_nix_directory(root, name),
                binds_directory(root, name),
            ]
        };
        let is_kept = |name: &MachineName| name == kept;
        assert_eq!(leftovers(root, is_kept), of(gone));
        assert_eq!(sweep(root, is_kept), std::slice::from_ref(gone));
        assert!(leftovers(root, is_kept).is_empty());
        assert!(of(gone).iter().all(|path| path.symlink_metadata().is_err()));
        assert!(of(kept).iter().chain(&foreign).all(|path| path.symlink_metadata().is_ok()));
    }
}
