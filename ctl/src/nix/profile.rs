//! Reads a built profile: the system to run and the container's options, checked. It accepts our own profiles, those
//! of python-nixos-nspawn, and any NixOS system built for containers.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Container, parse_data};
use nixos_nspawn_units::invalid::shown;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::tree::read_of_store;
use crate::nix::python_profile;

/// The contents of a profile.
pub(crate) struct Profile {
    /// The profile itself.
    pub(crate) path: StorePath,
    /// The system that it leads to.
    pub(crate) toplevel: StorePath,
    /// The options of the container.
    pub(crate) container: Container,
    /// Warnings about what was ignored.
    pub(crate) warnings: Vec<String>,
    /// Settings of a python-nixos-nspawn profile that serve only its own machinery, and are left out.
    pub(crate) left_out: Vec<String>,
}

/// Reads the profile at `path` for a container named `name`.
pub(crate) fn read(host: &Host, path: &StorePath, name: &MachineName) -> Result<Profile> {
    let toplevel = toplevel(host, path)?;
    let folder = host.path(path.as_str()).join("nixos-nspawn");
    let mut container = Container::default();
    let mut warnings = Vec::new();
    let mut left_out = Vec::new();
    let data = folder.join("data.json");
    let inside = Path::new(path.as_str()).join("nixos-nspawn/data.json");
    match read_of_store(&host.root, &inside) {
        Ok(bytes) => {
            let bytes = python_profile::data(bytes, &data, &mut warnings);
            let reading = parse_data(&bytes).map_err(|fault| {
                let line = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
                Failed::unchanged(format!("{}{line}: {fault}", data.display()), "")
            })?;
            container = reading.container;
            warnings
                .extend(reading.warnings.into_iter().map(|warning| format!("{}: {warning}", data.display())));
            python_profile::take_over(
                host,
                &folder,
                name,
                &toplevel,
                &mut container,
                &mut warnings,
                &mut left_out,
            )?;
            let unknown = container.system_call_filter.iter().flat_map(|filter| filter.unknown_calls());
            warnings.extend(unknown.take(5).map(|call| {
                format!(
                    "systemCallFilter: '{}' is not a known system call, nspawn may ignore it",
                    shown(call)
                )
            }));
        }
        // A plain NixOS system built for containers has the default options.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return unchanged(format!("{}: {error}", data.display()), "");
        }
    }
    Ok(Profile { path: path.clone(), toplevel, container, warnings, left_out })
}

/// Returns the system: the store path that `init` links to, or the profile itself if `init` is its own file.
pub(crate) fn toplevel(host: &Host, path: &StorePath) -> Result<StorePath> {
    let init = host.path(path.as_str()).join("init");
    let no_system =
        |why: String| Failed::unchanged(format!("{path}: is not a NixOS system for a container: {why}"), "");
    let metadata = fs::symlink_metadata(&init).map_err(|error| match error.kind() {
        ErrorKind::NotFound => no_system("it has no 'init'".to_owned()),
        _ => no_system(format!("init: {error}")),
    })?;
    if metadata.is_symlink() {
        let target = fs::read_link(&init)?;
        let named_init = target.file_name().is_some_and(|name| name == "init");
        if let Some(system) = target.parent().and_then(Path::to_str).filter(|_| named_init) {
            if let Ok(system) = system.parse::<StorePath>() {
                let Ok(init) = fs::symlink_metadata(host.path(system.init())) else {
                    return Err(no_system(format!("its init links to {system}, which does not exist")).into());
                };
                not_damaged(&system, &init)?;
                return Ok(system);
            }
        }
    }
    not_damaged(path, &metadata)?;
    Ok(path.clone())
}

/// Refuses a system that lost its contents: Nix may register a path before its files are on the disk.
fn not_damaged(system: &StorePath, init: &fs::Metadata) -> Result<()> {
    if init.is_file() && init.len() == 0 {
        return unchanged(
            format!("{system}: its init is empty, as after a power failure during a build"),
            "'nix-store --verify --check-contents --repair' repairs the store",
        );
    }
    Ok(())
}

/// Returns whether a system has a time zone of its own: NixOS then manages /etc/localtime.
pub(crate) fn has_localtime(host: &Host, system: &StorePath) -> bool {
    let etc = resolve(host, &host.path(system.as_str()).join("etc"));
    etc.is_ok_and(|etc| etc.join("localtime").symlink_metadata().is_ok())
}

/// Returns the store path that the user's PATH means: itself, or the target of a profile's links.
pub(crate) fn store_path(host: &Host, path: &Path) -> Result<StorePath> {
    let absolute = std::path::absolute(path)?;
    // With --root, paths of the system and of the caller are both accepted.
    let below = if absolute.starts_with(&host.root) { absolute } else { host.path(&absolute) };
    let refused = |why: String| Failed::unchanged(format!("{}: {why}", path.display()), "");
    let resolved = resolve(host, &below).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused("there is no such profile".to_owned()),
        _ => refused(error.to_string()),
    })?;
    let inside = resolved.strip_prefix(&host.root).unwrap_or(&resolved);
    let inside = Path::new("/").join(inside);
    let text = inside.to_str().unwrap_or_default();
    text.parse().map_err(|_| {
        refused(format!("resolves to {}, which is not in the Nix store", inside.display())).into()
    })
}

/// Follows links; an absolute target in an offline tree is resolved in that tree.
fn resolve(host: &Host, path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        if !fs::symlink_metadata(&path)?.is_symlink() {
            return if host.live() { path.canonicalize() } else { Ok(path) };
        }
        let target = fs::read_link(&path)?;
        path = if target.is_absolute() { host.path(&target) } else { path.with_file_name("").join(target) };
    }
    Err(std::io::Error::other("too many links"))
}

/// Returns the user that the store belongs to, if there is one.
pub(crate) fn store_owner(host: &Host) -> Result<Option<u32>> {
    let store = host.path("/nix/store");
    match fs::metadata(&store) {
        Ok(metadata) => Ok(Some(metadata.uid())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| store.display().to_string()),
    }
}

/// Refuses a store that another user can write to, since that user could become root.
pub(crate) fn check_store(host: &Host, allow_user_store: bool) -> Result<()> {
    let Some(owner) = store_owner(host)? else { return Ok(()) };
    if owner != 0 && !allow_user_store && host.live() {
        return unchanged(
            format!("/nix/store belongs to user {owner}, who could change what runs as root"),
            "--allow-user-store accepts it",
        );
    }
    Ok(())
}
