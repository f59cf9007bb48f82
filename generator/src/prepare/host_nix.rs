//! The mounts of the host's Nix for a container without a user namespace. Root inside can make an ordinary read-only bind
//! mount writable (`mount -o remount,bind,rw`), and Nix does so by itself before it collects garbage. These mounts are
//! locked ([`crate::prepare::locked`], docs/decisions/host-store.md); where the kernel cannot lock them, they are only read-only.

use std::fs::{DirBuilder, create_dir, create_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::copies::{host_nix_directory, remove_host_nix};
use nixos_nspawn_units::intent::NIX_PARTS;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::host_nix::locked;
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::words::bind_fields;
use rustix::mount::mount_bind_recursive;

use crate::failure::Failure;
use crate::log::Log;
use crate::prepare::bind_sources;
use crate::prepare::locked::{lock, read_only};

/// Mounts the parts of the host's Nix that the settings bind.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile, log: &Log) -> Result<(), Failure> {
    let directory = host_nix_directory(root, name);
    let failed = |error: io::Error| {
        Failure::new(format!("{}: {error}, container '{name}' is not started", directory.display()))
    };
    // Left by a start that was interrupted.
    remove_host_nix(root, name).map_err(failed)?;
    let named: Vec<String> = file
        .values("Files", "BindReadOnly")
        .filter_map(|value| Some(bind_fields(value).ok()?.source))
        .collect();
    let mut mounts: Vec<(PathBuf, PathBuf)> = Vec::new();
    for part in NIX_PARTS.into_iter().filter(|part| named.contains(&locked(name.as_str(), *part))) {
        let path = root.join(&part.path[1..]);
        bind_sources::made(&path, part.path, name)?;
        mounts.push((path, directory.join(part.name)));
    }
    if mounts.is_empty() {
        return Ok(());
    }
    // Others may read /run/nixos-nspawn, which also holds locks.
    directory.parent().and_then(Path::parent).map_or(Ok(()), create_dir_all).map_err(failed)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
    mounts.iter().try_for_each(|(_, place)| create_dir(place)).map_err(failed)?;
    let Err(error) = lock(&mounts) else { return Ok(()) };
    log.warning(&format!(
        "{}: cannot be locked: {error}; root in container '{name}' can make its /nix/store writable and change the host's \
         store, set userNamespacing to prevent that",
        directory.display()
    ));
    // Some may have been locked already; the mounts on top count.
    mounts
        .iter()
        .try_for_each(|(path, place)| {
            mount_bind_recursive(path, place)?;
            read_only(place)
        })
        .map_err(failed)
}
