//! Removes containers: stops them, deletes their intents and profiles, and keeps their state unless asked to delete it.

mod covered;
mod together;

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Stored;

use crate::base::host::Host;
use crate::change::several::Results;
use crate::change::{settle, several};
use crate::fact::lookup::{Found, find};

pub(in crate::change) use covered::profile_directory;

/// The options of a remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoveOptions {
    /// Whether to delete the state as well.
    pub(crate) delete_state: bool,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// The result of a remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The container was, or would be, removed.
    Container(Removal),
    /// A killed command had left it incomplete; these paths were deleted.
    HalfDone(Vec<PathBuf>),
    /// There is no such container.
    Absent(Left),
}

/// What a remove covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Whether it was running, and is stopped.
    pub(crate) stopped: bool,
    /// The intent, the profile directory with all generations, and the state.
    pub(crate) deleted: Vec<PathBuf>,
    /// The profile directory among them.
    pub(crate) profile: Option<PathBuf>,
    /// The state that is kept.
    pub(crate) kept: Option<PathBuf>,
    /// The snapshots of its state that are kept.
    pub(crate) snapshots: Option<PathBuf>,
    /// Containers that require it.
    pub(crate) dependents: Vec<MachineName>,
}

/// What is left of a container that is not recorded. Its intent may have been deleted by hand, and files without a
/// record may be somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether its unit runs.
    pub(crate) runs: bool,
    /// The profile directory of this name.
    pub(crate) profile: Option<PathBuf>,
    /// The state directory of this name, if that was to be deleted.
    pub(crate) state: Option<PathBuf>,
}

/// Removes containers, in this order as far as one has to be stopped before another. Those that no other command is
/// working on are removed first, together; a failure does not affect the others.
pub(crate) fn remove_all(host: &Host, names: &[MachineName], options: RemoveOptions) -> Results<Removed> {
    if options.dry_run {
        let loaded = host.load();
        return names
            .iter()
            .map(|name| (name.clone(), covered::dry_run(host, name, options, &loaded)))
            .collect();
    }
    several::locked(host, names, |names| together::remove(host, names, options))
}

/// Removes a container, and keeps its state, if it is still as `wanted` when nobody else can change it any more. Returns
/// whether it was removed.
pub(crate) fn remove_if(host: &Host, name: &MachineName, wanted: impl Fn(&Stored) -> bool) -> Result<bool> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load_one(name);
    match find(&loaded, name) {
        Some(Found::Good(stored)) if wanted(stored) => {}
        _ => return Ok(false),
    }
    let options = RemoveOptions { delete_state: false, dry_run: false };
    together::remove(host, &[name], options)?.into_values().next().transpose()?;
    Ok(true)
}

/// Removes one container.
#[cfg(test)]
pub(crate) fn remove(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    remove_all(host, std::slice::from_ref(name), options).remove(name).expect("its result")
}
