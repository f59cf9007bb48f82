//! The links of a container's profile.

use std::fs;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::host::files::{is_there, names_in, remove_file, sync_directory};
use crate::host::{last_activation, profile_links, update_memory};

/// The prefix of links to builds of `update --all` that are not yet activated. The ID of the process follows.
const AHEAD: &str = "ahead-";

/// Returns the name of this process's link.
pub(crate) fn ahead() -> String {
    format!("{AHEAD}{}", std::process::id())
}

/// Returns the process that made a link, from the link's name.
fn builder(name: &str) -> Option<u32> {
    name.strip_prefix(AHEAD)?.parse().ok()
}

/// Removes the links of processes that no longer exist.
pub(crate) fn sweep_ahead(host: &Host, directory: &Path) {
    let below = host.directory(directory);
    for name in left_ahead(host, directory) {
        if fs::remove_file(below.join(&name)).is_ok() {
            drop_indirect_root(host, &directory.join(&name));
        }
    }
}

/// Returns the names of such links.
pub(crate) fn left_ahead(host: &Host, directory: &Path) -> Vec<String> {
    let below = host.directory(directory);
    let gone = |name: &String| {
        builder(name).is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists())
            && is_link(&below.join(name)).unwrap_or(false)
    };
    names_in(&below).unwrap_or_default().into_iter().filter(gone).collect()
}

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
    let directory = host.directory(directory);
    for (link, target) in [("system-1-link", path.as_str()), ("system", "system-1-link")] {
        let link = directory.join(link);
        symlink(target, &link).with_context(|| format!("{}: cannot be linked", link.display()))?;
    }
    Ok(1)
}

/// Returns the directory of a container's profile.
pub(crate) fn profile_directory(host: &Host, name: &MachineName) -> PathBuf {
    Path::new(host.config.profile_directory.as_str()).join(name.as_str())
}

/// Returns whether a create may use the profile directory: it does not exist, or contains at most the build link of a
/// killed command, and notes of an earlier container that had no profile.
pub(crate) fn is_adoptable(host: &Host, directory: &Path) -> Result<bool> {
    let below = host.directory(directory);
    match fs::symlink_metadata(&below) {
        Ok(there) if !there.is_dir() => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error).with_context(|| below.display().to_string()),
    }
    Ok(names_in(&below)?.iter().all(|name| name == "pending" || is_note(name)))
}

/// The notes beside the links of a profile.
const NOTES: [&str; 2] = [last_activation::LAST_ACTIVATION, update_memory::UPDATE_MEMORY];

/// Returns whether a file of this name is a note, or the temporary file of one.
fn is_note(name: &str) -> bool {
    let plain = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new")).unwrap_or(name);
    NOTES.contains(&plain)
}

/// Removes the notes from a profile directory, a path of the system.
pub(crate) fn remove_notes(host: &Host, directory: &Path) -> Result<()> {
    let below = host.directory(directory);
    if !is_there(&below)? {
        return Ok(());
    }
    names_in(&below)?.iter().filter(|name| is_note(name)).try_for_each(|name| remove_file(&below.join(name)))
}

/// Creates the profile directory.
pub(crate) fn make_directory(host: &Host, directory: &Path) -> Result<()> {
    let below = host.directory(directory);
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&below);
    made.with_context(|| format!("{}: cannot be created", below.display()))
}

/// The directory of the roots that Nix makes for links of builds.
pub(crate) const INDIRECT_ROOTS: &str = "/nix/var/nix/gcroots/auto";

/// Syncs the links of a profile and the indirect roots, before the record that would make up for their loss, or for their
/// return, is removed.
pub(crate) fn sync(host: &Host, directory: &Path) -> Result<()> {
    for below in [host.directory(directory), host.path(INDIRECT_ROOTS)] {
        if is_there(&below)? {
            sync_directory(&below)?;
        }
    }
    Ok(())
}

/// Returns the directory where create makes the profile of this name, if our garbage collector root proves that it is
/// the container's: the root must keep the system of a generation there. So does a directory that has nothing but our
/// notes. Otherwise returns an empty path, since python-nixos-nspawn keeps its profiles in the same place.
pub(crate) fn proven_directory(host: &Host, name: &MachineName) -> PathBuf {
    let directory = profile_directory(host, name);
    let kept = fs::read_link(host.gc_roots().join(name.as_str()));
    let names = names_in(&host.directory(&directory)).unwrap_or_default();
    let proven = kept.is_ok_and(|kept| {
        let generations =
            names.iter().filter(|name| is_own(name) && *name != "pending" && builder(name).is_none());
        generations
            .filter_map(|name| fs::read_link(host.path(directory.join(name))).ok())
            .any(|target| target == kept)
    });
    let only_notes = !names.is_empty() && names.iter().all(|name| is_note(name));
    if proven || only_notes { directory } else { PathBuf::new() }
}

/// Returns whether create, update or nix-env makes links of this name for a profile `system`.
fn is_own(name: &str) -> bool {
    let generation = || name.strip_prefix("system-")?.strip_suffix("-link")?.parse::<u64>().ok();
    matches!(name, "system" | "pending") || builder(name).is_some() || generation().is_some()
}

/// Removes a container's profile with all generations, which may then be garbage-collected. Only the profile's links and the
/// notes beside them are removed.
pub(crate) fn remove_profile(host: &Host, directory: &Path) -> Result<()> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let below = host.directory(directory);
    for name in names_in(&below)? {
        let path = below.join(&name);
        if is_own(&name) && is_link(&path)? {
            drop_indirect_root(host, &directory.join(&name));
            remove_file(&path)?;
        }
    }
    for name in names_in(&below)?.iter().filter(|name| is_note(name)) {
        let _ = fs::remove_file(below.join(name));
    }
    // Left behind by a killed nix-env.
    let _ = fs::remove_file(below.join("system.lock"));
    match fs::remove_dir(&below) {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(()),
            // Foreign files or a mount in the directory stay, and do not keep the container from being removed.
            ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy => {
                host.report(Event::FolderStays { folder: below, error: error.to_string() });
                Ok(())
            }
            _ => Err(error).with_context(|| format!("{}: cannot be removed", below.display())),
        },
    }
}

/// Returns whether a path is a link. Errors are returned, not treated as another kind of file.
fn is_link(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_symlink()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// `nix build --out-link` also makes an indirect root in gcroots/auto, which nix would only remove at the next
/// collection.
pub(crate) fn drop_indirect_root(host: &Host, link: &Path) {
    let Ok(entries) = fs::read_dir(host.path(INDIRECT_ROOTS)) else { return };
    for entry in entries.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == link) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
