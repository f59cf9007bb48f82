//! Settles a switch that was killed.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::store::Kind;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::change::profile_steps::remove_pending;
use crate::change::switch::take_back;
use crate::fact::dependents;
use crate::host::intent_file::intent_path;
use crate::host::record::{Phase, Record};
use crate::host::{gc_roots, intent_file, networkd, runtime_files, sockets, systemd};
use crate::nix::tool::Nix;

/// Settles a switch that was killed. The generation that ran before is recorded again, unless the container was started
/// with the new one and is up: then that is what is.
pub(crate) fn settle(host: &Host, record: &Record) -> Result<()> {
    let name = &record.name;
    if record.details.phase == Phase::Building {
        remove_pending(host, &record.details.profile_directory);
        return record.finish(host);
    }
    let nix = Nix::find(host)?;
    let loaded = host.load();
    let recorded =
        loaded.intents.iter().find(|stored| stored.name == *name && stored.kind == Kind::Imperative);
    let record = &mut record.clone();
    let Some(recorded) = recorded else { return take_back(host, &nix, record, false) };
    let is_new = fs::read_to_string(intent_path(host, name))? != record.details.old_intent;
    let state = systemd::state(host, name)?;
    let planned = intent_file::hash(name, &recorded.intent);
    let started_with = runtime_files::mark(host, name);
    if is_new && state.active == "active" && started_with.is_some() && started_with == planned {
        host.report(Event::UpdateAccepted { name: name.clone() });
        // It may have been started by hand or by a boot, before we came to the rest.
        networkd::apply(host, name);
        let old = parse(record.details.old_intent.as_bytes(), name).ok();
        sockets::align(host, name, old.as_ref(), &recorded.intent)?;
        gc_roots::keep(host, name, &recorded.intent.toplevel)?;
        remove_pending(host, &record.details.profile_directory);
        dependents::start_again(host, &record.details.dependents);
        return record.finish(host);
    }
    host.report(Event::UpdateTakenBack { name: name.clone() });
    // What ran before runs again, also if the kill came between its stop and its start, or on the way back.
    let started_as_recorded = started_with.is_some() && started_with == planned;
    let to_restart = match record.details.phase {
        Phase::Activating => true,
        Phase::Returning => is_new || state.active != "active" || !started_as_recorded,
        _ => is_new && started_as_recorded,
    };
    let touched = record.details.ran && to_restart;
    take_back(host, &nix, record, touched)
}
