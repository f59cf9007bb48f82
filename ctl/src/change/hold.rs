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

/// The result of a hold or a release.
pub(crate) struct Held {
    /// The hold now, if there is one.
    pub(crate) hold: Option<Hold>,
    /// Whether the container was held or released by this.
    pub(crate) changed: bool,
}

/// Holds a container, or replaces the reason.
pub(crate) fn hold(host: &Host, name: &MachineName, reason: Option<&str>) -> Result<Held> {
    change(host, name, of(reason))
}

/// Releases a container.
pub(crate) fn unhold(host: &Host, name: &MachineName) -> Result<Held> {
    change(host, name, None)
}

/// Returns what [`hold`] would do.
pub(crate) fn would_hold(host: &Host, name: &MachineName, reason: Option<&str>) -> Result<Held> {
    would(host, name, of(reason))
}

/// Returns what [`unhold`] would do.
pub(crate) fn would_unhold(host: &Host, name: &MachineName) -> Result<Held> {
    would(host, name, None)
}

fn of(reason: Option<&str>) -> Option<Hold> {
    Some(Hold::now(reason.map(str::to_owned)))
}

fn would(host: &Host, name: &MachineName, hold: Option<Hold>) -> Result<Held> {
    let loaded = host.load_one(name);
    let folder = profile_folder(host, name, imperative(&loaded, name)?);
    if hold.is_some() {
        may_be_held(&folder, name)?;
    }
    let before = UpdateMemory::read(host, name, &folder)?.hold;
    Ok(after(before, hold).0)
}

/// Returns the result, and whether anything must be written: the time is kept unless the reason changes.
fn after(before: Option<Hold>, hold: Option<Hold>) -> (Held, bool) {
    let changed = before.is_some() != hold.is_some();
    let stays = match (&before, &hold) {
        (Some(before), Some(hold)) => before.reason == hold.reason,
        (None, None) => true,
        _ => false,
    };
    (Held { hold: if stays { before } else { hold }, changed }, !stays)
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

fn change(host: &Host, name: &MachineName, hold: Option<Hold>) -> Result<Held> {
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
    let (held, write) = after(before, hold);
    if write {
        let hold = held.hold.clone();
        UpdateMemory::change(host, name, &folder, |memory| memory.hold = hold)?;
    }
    Ok(held)
}
