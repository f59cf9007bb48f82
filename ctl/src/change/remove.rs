//! Removes containers: stops them, deletes their intents and profiles, and keeps their state unless asked to delete it.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Stored;

use crate::base::host::Host;
use crate::change::removal::{RemoveOptions, Removed, dry_run};
use crate::change::remove_locked::remove_locked;
use crate::change::several::Results;
use crate::change::{settle, several};
use crate::fact::dependents::Requiring;
use crate::fact::lookup::{Found, find};

/// Removes containers, first together those that no other command is working on. A failure does not affect the others.
pub(crate) fn remove_all(host: &Host, names: &[MachineName], options: RemoveOptions) -> Results<Removed> {
    if options.dry_run {
        let loaded = host.load();
        let requiring = Requiring::of(&loaded);
        let planned = |name| dry_run(host, name, options, &loaded, &requiring);
        return names.iter().map(|name| (name.clone(), planned(name))).collect();
    }
    several::locked(host, names, |names| remove_locked(host, names, options))
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
    remove_locked(host, &[name], options)?.into_values().next().transpose()?;
    Ok(true)
}

/// Removes one container.
#[cfg(test)]
pub(crate) fn remove(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    remove_all(host, std::slice::from_ref(name), options).remove(name).expect("its result")
}
