//! The links of a container's profile.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::host::files::remove_file;
use crate::host::{last_activation, profile_links};

/// Returns the link of a container's profile, as a path of the system.
pub(crate) fn profile_link(host: &Host, name: &MachineName, intent: &Intent) -> PathBuf {
    match &intent.profile {
        Some(profile) => PathBuf::from(profile.as_str()),
        None => profile_links::profile_directory(host, name).join("system"),
    }
}

/// Returns the current generation of a profile: `system` links to `system-3-link`.
pub(crate) fn generation(profile: &Path) -> Result<u64> {
    let link = fs::read_link(profile).with_context(|| format!("{}: is not a profile", profile.display()))?;
    let base = profile.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let number = link.file_name().and_then(|name| {
        name.to_str()?.strip_prefix(&base)?.strip_prefix('-')?.strip_suffix("-link")?.parse().ok()
    });
    number.with_context(|| {
        format!("{}: links to '{}', which is not a generation", profile.display(), link.display())
    })
}

/// Creates the first generation of a profile without Nix, in an offline tree.
pub(crate) fn make_offline_profile(host: &Host, directory: &Path, path: &StorePath) -> Result<u64> {
    let directory = host.path(directory);
    std::os::unix::fs::symlink(path.as_str(), directory.join("system-1-link"))?;
    std::os::unix::fs::symlink("system-1-link", directory.join("system"))?;
    Ok(1)
}

/// Returns the directory of a container's profile.
pub(crate) fn profile_directory(host: &Host, name: &MachineName) -> PathBuf {
    Path::new(host.config.profile_directory.as_str()).join(name.as_str())
}

/// Removes a container's profile with all generations, which may then be garbage-collected. Only the links and the
/// record of the last activation are removed.
pub(crate) fn remove_profile(host: &Host, directory: &Path) -> Result<()> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let below = host.path(directory);
    let entries = match fs::read_dir(&below) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| below.display().to_string()),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            drop_indirect_root(host, &directory.join(entry.file_name()));
            remove_file(&entry.path())?;
        }
    }
    // The last one is left by nix-env when it is killed.
    for file in [
        last_activation::LAST_ACTIVATION.to_owned(),
        format!(".{}.new", last_activation::LAST_ACTIVATION),
        "system.lock".to_owned(),
    ] {
        let _ = fs::remove_file(below.join(file));
    }
    if let Err(error) = fs::remove_dir(&below) {
        // Other files in the directory are not ours, and no reason to keep the container.
        host.report(Event::FolderStays { folder: below, error: error.to_string() });
    }
    Ok(())
}

/// `nix build --out-link` also makes an indirect root in gcroots/auto, which nix would only remove at the next
/// collection.
pub(crate) fn drop_indirect_root(host: &Host, link: &Path) {
    let Ok(entries) = fs::read_dir(host.path("/nix/var/nix/gcroots/auto")) else { return };
    for entry in entries.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == link) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
