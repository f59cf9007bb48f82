//! Holds containers back from `update --all`, and releases them. Both are idempotent.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::change::next::profile_folder;
use crate::change::settle;
use crate::fact::lookup::imperative;
use crate::host::profile_links;
use crate::host::update_memory::{Hold, UpdateMemory, is_named_like};

/// Holds a container, or replaces the reason. Returns whether the container was not held before.
pub(crate) fn hold(host: &Host, name: &MachineName, reason: Option<&str>) -> Result<bool> {
    change(host, name, Some(Hold::now(reason.map(str::to_owned))))
}

/// Releases a container. Returns whether the container was held.
pub(crate) fn unhold(host: &Host, name: &MachineName) -> Result<bool> {
    change(host, name, None)
}

/// Returns whether holding or releasing a container would change anything.
pub(crate) fn would(host: &Host, name: &MachineName, hold: bool) -> Result<bool> {
    let loaded = host.load_one(name);
    let folder = profile_folder(host, name, imperative(&loaded, name)?);
    if hold {
        may_be_held(&folder, name)?;
    }
    Ok(UpdateMemory::read(host, name, &folder)?.hold.is_some() != hold)
}

/// Refuses a container of which nothing can be remembered.
fn may_be_held(folder: &Path, name: &MachineName) -> Result<()> {
    if is_named_like(folder, name) {
        return Ok(());
    }
    unchanged(
        format!(
            "container '{name}': its profile is in {}, where nothing is remembered of it",
            folder.display()
        ),
        format!("a profile in a directory named '{name}' can be held"),
    )
}

fn change(host: &Host, name: &MachineName, hold: Option<Hold>) -> Result<bool> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load_one(name);
    let folder = profile_folder(host, name, imperative(&loaded, name)?);
    if hold.is_some() {
        may_be_held(&folder, name)?;
    }
    let before = UpdateMemory::read(host, name, &folder)?.hold;
    if hold.is_some() {
        // A hand-written intent may have no profile yet.
        profile_links::make_directory(host, &folder)?;
    }
    let wanted = hold.is_some();
    // The time is kept unless the reason changes.
    let keeps = |before: &Hold| hold.as_ref().is_some_and(|hold| hold.reason == before.reason);
    if !before.as_ref().is_some_and(keeps) {
        UpdateMemory::change(host, name, &folder, |memory| memory.hold = hold)?;
    }
    Ok(before.is_some() != wanted)
}
