//! Containers that `update --all` skips, and generations that it does not activate again.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::change::next::Next;
use crate::change::update_options::UpdateOptions;
use crate::host::update_memory::{Failure, Hold, UpdateMemory};

/// Returns why `update --all` skips a container.
pub(super) fn skipped(old: &Intent, memory: &UpdateMemory) -> Option<String> {
    let source = old.source.as_ref();
    if source
        .is_none_or(|source| source.flake.is_none() && source.config.is_none() && source.profile.is_none())
    {
        return Some("has no source to build from".to_owned());
    }
    memory.hold.as_ref().map(Hold::text)
}

/// Returns why the profile is not activated again, if it failed before.
pub(super) fn failed_before(
    host: &Host,
    name: &MachineName,
    folder: &Path,
    next: &Next,
    options: &UpdateOptions,
) -> Result<Option<String>> {
    let memory = UpdateMemory::read(host, name, folder)?;
    let Some(failure) = memory.failed(&next.profile).filter(|_| options.all && !options.retry) else {
        return Ok(None);
    };
    let reason = not_again(failure);
    // Other failures since do not matter: this one prevents the update.
    UpdateMemory::change(host, name, folder, |memory| memory.failure = Some(failure.clone()))?;
    Ok(Some(reason))
}

/// Describes why a profile that failed before is not activated again.
pub(super) fn not_again(failure: &Failure) -> String {
    format!("{}; --retry tries it again", failure.text())
}
