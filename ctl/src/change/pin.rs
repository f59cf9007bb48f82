//! Pins generations: a garbage collector root links to the profile of a generation. While it exists, neither
//! `delete-generations` nor the host's `nix-collect-garbage -d` deletes the generation. Pinning or unpinning twice is
//! not an error.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::refuse;
use crate::base::host::Host;
use crate::change::settle;
use crate::fact::generations::generations;
use crate::fact::lookup::{imperative, numbered};
use crate::host::files::{remove_file, sync_directory, write_link};
use crate::host::gc_roots::pin_link;

/// The result of pin or unpin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// Whether anything was changed.
    pub(crate) changed: bool,
    /// Whether the profile has the generation, so that it remains without the pin.
    pub(crate) in_profile: bool,
}

/// Pins a generation.
pub(crate) fn pin(host: &Host, name: &MachineName, number: u64) -> Result<Pinned> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load_one(name);
    let all = generations(host, name, imperative(&loaded, name)?)?;
    let generation = numbered(&all, name, number)?;
    let in_profile = generation.made.is_some();
    let (path, at) = (&generation.path, pin_link(host, name, number));
    let gone = || {
        format!(
            "generation {number} of container '{name}': {path} is gone from the store, nothing was pinned"
        )
    };
    if generation.toplevel.is_none() {
        return refuse(gone());
    }
    if generation.pinned && fs::read_link(&at).is_ok_and(|target| target == Path::new(path.as_str())) {
        return Ok(Pinned { changed: false, in_profile });
    }
    let cannot = || format!("{}: cannot be linked, nothing was pinned", at.display());
    fs::create_dir_all(host.gc_roots()).with_context(cannot)?;
    write_link(&at, path.as_str()).with_context(cannot)?;
    sync_directory(&host.gc_roots())?;
    // A garbage collection in progress may have missed the link.
    if fs::symlink_metadata(host.path(path.as_str())).is_err() {
        remove_file(&at)?;
        return refuse(gone());
    }
    Ok(Pinned { changed: true, in_profile })
}

/// Returns what pinning or unpinning would do.
pub(crate) fn would(host: &Host, name: &MachineName, number: u64, pinned: bool) -> Result<Pinned> {
    let loaded = host.load_one(name);
    let all = generations(host, name, imperative(&loaded, name)?)?;
    if !pinned {
        let generation = all.iter().find(|one| one.number == number && one.pinned);
        let in_profile = generation.is_none_or(|generation| generation.made.is_some());
        return Ok(Pinned { changed: generation.is_some(), in_profile });
    }
    let generation = numbered(&all, name, number)?;
    Ok(Pinned { changed: !generation.pinned, in_profile: generation.made.is_some() })
}

/// Unpins a generation.
pub(crate) fn unpin(host: &Host, name: &MachineName, number: u64) -> Result<Pinned> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load_one(name);
    let all = generations(host, name, imperative(&loaded, name)?)?;
    // A generation that the profile no longer has may have been unpinned before.
    let Some(generation) = all.iter().find(|one| one.number == number && one.pinned) else {
        return Ok(Pinned { changed: false, in_profile: true });
    };
    remove_file(&pin_link(host, name, number))?;
    Ok(Pinned { changed: true, in_profile: generation.made.is_some() })
}
