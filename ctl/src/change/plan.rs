//! What an update would change and do. Nothing but the Nix store is changed.

use anyhow::Result;
use nixos_nspawn_units::intent::Strategy;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::change::next::{decision, layer, next, profile_folder, same_but_source};
use crate::change::planned::Planned;
use crate::change::reach::Approved;
use crate::change::skip::{not_again, skipped};
use crate::change::snapshot;
use crate::decision::overrides::OverrideChanges;
use crate::fact::dependents;
use crate::fact::lookup::imperative;
use crate::host::intent_file::Conflicts;
use crate::host::update_memory::UpdateMemory;
use crate::host::{host_file, intent_file, systemd};
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// Plans an update by its own steps. With `all`, skips what `update --all` would skip; `retry` plans what failed before.
pub(crate) fn plan(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    (source, overrides): (&SourceArguments, Option<&OverrideChanges>),
    given: Option<Strategy>,
    (all, retry): (bool, bool),
) -> Result<Planned> {
    let loaded = host_file::load(host)?;
    let old = imperative(&loaded, name)?;
    let memory = if all {
        UpdateMemory::read(host, name, &profile_folder(host, name, old))?
    } else {
        UpdateMemory::default()
    };
    if let Some(reason) = skipped(old, &memory).filter(|_| all) {
        return Ok(Planned::skipped(name, old.generation, reason));
    }
    let layer = layer(&old.overrides, overrides)?;
    let next = next(host, nix, name, old, (source, &layer), None)?;
    if same_but_source(old, &next.intent) {
        return Ok(Planned::nothing(name, old.generation));
    }
    if let Some(failure) = memory.failed(&next.profile).filter(|_| !retry) {
        return Ok(Planned::skipped(name, old.generation, not_again(failure)));
    }
    snapshot::check(host, name, &next.intent)?;
    intent_file::check(&loaded, name, &next.intent, Conflicts::NewRefused(old))?;
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decision(host, name, old, &next.intent, given, runs)?;
    let mut planned = Planned::of(host, name, [old, &next.intent], decision, None, Approved::No)?;
    planned.notes.extend(dependents::unknown_names(&loaded, &next.intent));
    Ok(planned)
}
