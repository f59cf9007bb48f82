//! The mounts of the host's Nix for a container without a user namespace. Root inside can make an ordinary read-only bind
//! mount writable (`mount -o remount,bind,rw`), and Nix does so by itself before it collects garbage. These mounts are
//! locked ([`crate::prepare::locked`], docs/decisions/host-store.md), as are read-only bind mounts; where the kernel cannot
//! lock them, they are only read-only.

use std::fs::{DirBuilder, create_dir, create_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nixos_nspawn_units::copies::{binds_directory, host_nix_directory, remove_host_nix};
use nixos_nspawn_units::intent::NIX_PARTS;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::host_nix::locked;
use rustix::mount::mount_bind_recursive;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::words::bind_fields;

use crate::failure::Failure;
use crate::log::Log;
use crate::prepare::exposed::Exposed;
use crate::prepare::locked::{Lock, lock, read_only};
use crate::prepare::source;

/// Returns the parts of the host's Nix that the settings bind, and makes the places at which to mount them.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile) -> Result<Vec<Lock>, Failure> {
    let directory = host_nix_directory(root, name);
    let failed = |error: io::Error| Failure::not_started(directory.display(), error, name, "");
    // An interrupted start may have left mounts.
    remove_host_nix(root, name).map_err(failed)?;
    let named: Vec<String> = file
        .values("Files", "BindReadOnly")
        .filter_map(|value| Some(bind_fields(value).ok()?.source))
        .collect();
    let mut locks: Vec<Lock> = Vec::new();
    for part in NIX_PARTS.into_iter().filter(|part| named.contains(&locked(name.as_str(), *part))) {
        let path = root.join(&part.path[1..]);
        source::open(root, part.path, true, &Exposed::new(root))
            .map_err(|unusable| Failure::not_started(path.display(), unusable.reason, name, unusable.next))?;
        locks.push(Lock { path, place: directory.join(part.name), follows: false });
    }
    if locks.is_empty() {
        return Ok(locks);
    }
    // Others may read /run/nixos-nspawn, which also holds locks.
    directory.parent().and_then(Path::parent).map_or(Ok(()), create_dir_all).map_err(failed)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
    locks.iter().try_for_each(|lock| create_dir(&lock.place)).map_err(failed)?;
    Ok(locks)
}

/// Mounts the parts of the host's Nix, and locks them and the read-only bind sources.
pub(crate) fn mount(
    root: &Path,
    name: &MachineName,
    parts: &[Lock],
    binds: &[Lock],
    log: &Log,
) -> Result<(), Failure> {
    // With a user namespace the kernel locks everything by itself.
    if parts.is_empty() {
        return Ok(());
    }
    let Err(error) = lock(&parts.iter().chain(binds).collect::<Vec<_>>()) else { return Ok(()) };
    if !binds.is_empty() {
        log.warning(&format!(
            "{}: cannot be locked: {error}; root in container '{name}' can make its read-only bind mounts writable, set \
             userNamespacing to prevent that",
            binds_directory(root, name).display()
        ));
    }
    let directory = host_nix_directory(root, name);
    let Err(error) = lock(&parts.iter().collect::<Vec<_>>()) else { return Ok(()) };
    log.warning(&format!(
        "{}: cannot be locked: {error}; root in container '{name}' can make its /nix/store writable and change the host's \
         store, set userNamespacing to prevent that",
        directory.display()
    ));
    // Some may have been locked already; the mounts on top count.
    parts
        .iter()
        .try_for_each(|Lock { path, place, .. }| {
            mount_bind_recursive(path, place)?;
            read_only(place)
        })
        .map_err(|error| Failure::not_started(directory.display(), error, name, ""))
}
