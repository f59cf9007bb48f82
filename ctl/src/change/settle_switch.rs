//! Settles a switch that was killed.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::store::Kind;

use crate::base::context::Context;
use crate::base::output;
use crate::change::profile_steps::remove_pending;
use crate::change::switch::take_back;
use crate::fact::dependents;
use crate::host::intent_file::intent_path;
use crate::host::record::{Phase, Record};
use crate::host::{gc_roots, intent_file, networkd, runtime_files, sockets, systemd};
use crate::nix::tool::Nix;

/// Settles a switch that was killed. The generation that ran before is recorded again, unless the container was started
/// with the new one and is up: then that is what is.
pub(crate) fn settle(context: &Context, record: &Record) -> Result<()> {
    let name = &record.name;
    if record.details.phase == Phase::Building {
        remove_pending(context, &record.details.profile_directory);
        return record.finish(context);
    }
    let nix = Nix::find(context)?;
    let loaded = context.load();
    let recorded =
        loaded.intents.iter().find(|stored| stored.name == *name && stored.kind == Kind::Imperative);
    let record = &mut record.clone();
    let Some(recorded) = recorded else { return take_back(context, &nix, record, false) };
    let is_new = fs::read_to_string(intent_path(context, name))? != record.details.old_intent;
    let state = systemd::state(context, name)?;
    let planned = intent_file::hash(name, &recorded.intent);
    let started_with = runtime_files::mark(context, name);
    if is_new && state.active == "active" && started_with.is_some() && started_with == planned {
        output::tell(&format!("container '{name}': a killed update had been activated, it stays"));
        // It may have been started by hand or by a boot, before we came to the rest.
        networkd::apply(context, name);
        let old = parse(record.details.old_intent.as_bytes(), name).ok();
        sockets::align(context, name, old.as_ref(), &recorded.intent)?;
        gc_roots::keep(context, name, &recorded.intent.toplevel)?;
        remove_pending(context, &record.details.profile_directory);
        dependents::start_again(context, &record.details.dependents);
        return record.finish(context);
    }
    output::tell(&format!("container '{name}': a killed update is taken back"));
    // What ran before runs again, also if the kill came between its stop and its start, or on the way back.
    let started_as_recorded = started_with.is_some() && started_with == planned;
    let to_restart = match record.details.phase {
        Phase::Activating => true,
        Phase::Returning => is_new || state.active != "active" || !started_as_recorded,
        _ => is_new && started_as_recorded,
    };
    let touched = record.details.ran && to_restart;
    take_back(context, &nix, record, touched)
}
