//! A container's mounts below /run: copies of devices, the host's Nix, bind sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use crate::intent::NIX_PARTS;
use crate::name::MachineName;
use crate::nspawn::files::{BINDS, DEVICES};
use crate::nspawn::host_nix::HOST_NIX;

/// Returns the mount point of the container's copies of devices, below `root`.
pub fn devices_directory(root: &Path, name: &MachineName) -> PathBuf {
    root.join(DEVICES).join(name.as_str())
}

/// Removes the container's copies of devices; returns whether there were any. Open devices stay usable.
pub fn remove_devices(root: &Path, name: &MachineName) -> io::Result<bool> {
    remove_mount(&devices_directory(root, name))
}

/// Returns the folder of the container's mounts of the host's Nix, below `root`.
pub fn host_nix_directory(root: &Path, name: &MachineName) -> PathBuf {
    root.join(HOST_NIX).join(name.as_str())
}

/// Removes the container's mounts of the host's Nix; returns false if there were none. A running container keeps its
/// own.
pub fn remove_host_nix(root: &Path, name: &MachineName) -> io::Result<bool> {
    let directory = host_nix_directory(root, name);
    for part in NIX_PARTS.iter().filter(|_| !directory.is_symlink()) {
        remove_mount(&directory.join(part.name))?;
    }
    remove_mount(&directory)
}

/// Returns the folder of the container's mounts of bind sources, below `root`.
pub fn binds_directory(root: &Path, name: &MachineName) -> PathBuf {
    root.join(BINDS).join(name.as_str())
}

/// Removes the container's mounts of bind sources; returns false if there were none. A running container keeps its own.
pub fn remove_binds(root: &Path, name: &MachineName) -> io::Result<bool> {
    let directory = binds_directory(root, name);
    let entries = Some(&directory).filter(|directory| !directory.is_symlink());
    for entry in entries.and_then(|directory| fs::read_dir(directory).ok()).into_iter().flatten() {
        remove_mount(&entry?.path())?;
    }
    remove_mount(&directory)
}

/// Unmounts everything from a mount point and removes it; returns false if it does not exist.
fn remove_mount(path: &Path) -> io::Result<bool> {
    // A link that another program put there leads to foreign mounts.
    if !path.is_symlink() {
        detach(path);
    }
    // Never recursively: that would empty what is still mounted.
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => fs::remove_file(path),
        _ => fs::remove_dir(path),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unmounts everything that is mounted at a path.
fn detach(path: &Path) {
    // Mounts may be stacked; the last attempt fails with EINVAL when none is left.
    for _ in 0..16 {
        // The mount may have others below it; as a peer of the host's mount it would unmount those as well.
        let _ = mount_change(path, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC);
        if unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_err() {
            break;
        }
    }
}
