//! Goes back to an earlier generation. Intent, unit files and profile change together, by the same steps as in an
//! update; a generation whose system is gone from the store is refused before anything changes.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::time;
use crate::change::conditions::ready;
use crate::change::gate::Before;
use crate::change::next::{decision, newest, profile_folder};
use crate::change::planned::Planned;
use crate::change::profile_steps::align_profile;
use crate::change::reach::Approved;
use crate::change::switch::Switch;
use crate::change::switch_options::{Activation, StateChange, Target};
use crate::change::updated::{UpdateResult, Updated};
use crate::change::{next, reach, settle, snapshot};
use crate::decision::activation::{Action, Decision};
use crate::decision::reach::Consent;
use crate::fact::generations::{Generation, current, generations};
use crate::fact::lookup::imperative;
use crate::fact::{dependents, host_network, installation};
use crate::host::intent_file::{Conflicts, existing_text};
use crate::host::profile_links::profile_link;
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::update_memory::{Failure, FailureKind, UpdateMemory};
use crate::host::{credentials, host_file, intent_file, snapshots, systemd};
use crate::nix::profile;
use crate::nix::tool::Nix;

/// The options of a rollback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollbackOptions<'a> {
    /// The generation, or the one before the current.
    pub(crate) to: Option<u64>,
    /// Whether the state is exchanged for the newest snapshot of the generation.
    pub(crate) with_state: bool,
    /// How it is activated.
    pub(crate) activation: Activation<'a>,
    /// The additional reach into the host that is accepted. All generations were accepted before, so only a token makes
    /// a difference.
    pub(crate) consent: Consent<'a>,
}

/// Finds out what a rollback would change and do.
pub(crate) fn plan(host: &Host, name: &MachineName, options: &RollbackOptions) -> Result<Planned> {
    let loaded = host_file::load(host)?;
    let old = imperative(&loaded, name)?;
    let (generation, new) = target(host, name, old, options.to)?;
    let state = state(host, name, &generation, options)?;
    let (_, planned) = intent_file::check(&loaded, name, &new, Conflicts::Told)?;
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decided(host, name, [old, &new], options, runs)?;
    let mut plan = Planned::of(host, name, [old, &new], decision, Some(generation.number), Approved::Before)?;
    plan.notes.extend(planned.warnings);
    if let StateChange::Restore(snapshot) = state {
        let from = snapshots::path(host, name, &snapshot).display().to_string();
        let time = time::local_of(&snapshot.time);
        plan.notes
            .push(format!("its state would be replaced by that of {time}, {from}, and kept as a snapshot"));
    }
    Ok(plan)
}

/// Rolls back a container.
pub(crate) fn rollback(host: &Host, name: &MachineName, options: &RollbackOptions) -> Result<Updated> {
    installation::check(host)?;
    go_back(host, &Nix::find(host)?, name, options)
}

/// Does it.
pub(super) fn go_back(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    options: &RollbackOptions,
) -> Result<Updated> {
    let _lock = settle::lock(host, name)?;
    let loaded = host_file::load(host)?;
    let old = imperative(&loaded, name)?;
    let (generation, new) = target(host, name, old, options.to)?;
    if old.generation == Some(generation.number) && !options.with_state {
        return Ok(Updated::nothing(name, old.generation));
    }
    ready(host, name, old)?;
    // What an earlier command accepted must not be put back by this one.
    snapshot::keep(host, name)?;
    let state = state(host, name, &generation, options)?;
    align_profile(host, nix, old);
    let changes = reach::check(host, name, [old, &new], options.consent, Approved::Before)?;
    host_network::check_uplinks(host, name, &new.container)?;
    // This generation worked before and is needed now, so conflicts with other containers are only reported.
    let (_, planned) = intent_file::check(&loaded, name, &new, Conflicts::Told)?;
    for text in planned.warnings {
        host.report(Event::Note { name: name.clone(), text });
    }
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decided(host, name, [old, &new], options, runs)?;
    if decision.action == Action::Restart {
        credentials::check_credentials(host, name, &new)?;
    }
    for text in dependents::unknown_names(&loaded, &new) {
        host.report(Event::Note { name: name.clone(), text });
    }
    let before = old.generation;
    let current = current(&generations(host, name, old)?).map(|one| one.path.clone());
    let left = current.filter(|_| before.is_some_and(|before| generation.number < before));
    let details = RecordDetails {
        profile_directory: profile_folder(host, name, old),
        old_intent: existing_text(host, name)?,
        newest_generation: newest(host, name, old)?,
        ran: runs,
        left: left.clone(),
        ..RecordDetails::default()
    };
    let mut record = Record::begin(host, name, Begun::Updating, details)?;
    // A generation that only a pin keeps gets a new number.
    let present = generation.made.is_some();
    let switch = Switch {
        host,
        nix,
        name,
        target: if present {
            Target::Present(generation.number)
        } else {
            Target::New(generation.path.clone())
        },
        remembered: None,
        decision,
        activation: options.activation,
        state,
        approved: Approved::Before,
        before: Before::default(),
        snapshot: None,
        new,
        only_takes_away: changes.only_takes_away(),
    };
    // Before anything else, or an update of all could return to it if this command is killed.
    let folder = record.details.profile_directory.clone();
    let memory = UpdateMemory::read(host, name, &folder);
    remember(host, name, &folder, |memory| {
        memory.wanted(&generation.path);
        if let Some(output) = left {
            let reason = format!("to generation {}", generation.number);
            memory.fails(Failure::now(FailureKind::RolledBack, reason, Some(output)));
        }
    });
    let switched = switch.run(&mut record);
    if let (Err(_), Ok(before)) = (&switched, memory) {
        remember(host, name, &folder, |memory| *memory = before);
    }
    let switched = switched?;
    Ok(Updated::switched(name, before, switched, UpdateResult::RolledBack))
}

/// Returns what happens to the state.
fn state(
    host: &Host,
    name: &MachineName,
    generation: &Generation,
    options: &RollbackOptions,
) -> Result<StateChange> {
    if !options.with_state {
        return Ok(StateChange::None);
    }
    let Some(found) = snapshot::newest(host, name, generation)? else {
        return unchanged(
            format!("generation {} of container '{name}' has no snapshot of its state", generation.number),
            format!("'nixos-nspawn list-generations {name}' shows which have one"),
        );
    };
    snapshot::possible(host, name)?;
    Ok(StateChange::Restore(found))
}

/// Returns how the rollback takes effect. Another state needs a restart.
fn decided(
    host: &Host,
    name: &MachineName,
    [old, new]: [&Intent; 2],
    options: &RollbackOptions,
    runs: bool,
) -> Result<Decision> {
    if options.with_state {
        let action = if runs { Action::Restart } else { Action::AtNextStart };
        return Ok(Decision { action, reason: "its state is replaced by a snapshot".to_owned() });
    }
    decision(host, name, old, new, options.activation.strategy, runs)
}

/// Changes what updates remember.
fn remember(host: &Host, name: &MachineName, folder: &Path, change: impl FnOnce(&mut UpdateMemory)) {
    if let Err(error) = UpdateMemory::change(host, name, folder, change) {
        host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
    }
}

/// Returns the generation to go to, and its intent.
fn target(host: &Host, name: &MachineName, old: &Intent, to: Option<u64>) -> Result<(Generation, Intent)> {
    let all = generations(host, name, old)?;
    let current = old.generation.unwrap_or(0);
    let none = |message: String| Failed::NothingToRollBack(message);
    // Of the same number, the one in the profile: Nix reuses numbers.
    let best = |fits: &dyn Fn(u64) -> bool| {
        let fitting = all.iter().filter(|one| fits(one.number));
        fitting.max_by_key(|one| (one.number, one.made.is_some())).cloned()
    };
    let found = match to {
        Some(number) => best(&|other| other == number).ok_or_else(|| {
            none(format!("container '{name}' has no generation {number}, nothing was changed; 'nixos-nspawn list-generations {name}' shows all"))
        })?,
        None => best(&|other| other < current).ok_or_else(|| {
            none(format!("container '{name}' has no generation before {current}, nothing was changed"))
        })?,
    };
    if found.toplevel.is_none() {
        return unchanged(
            format!(
                "generation {} of container '{name}': {} is gone from the store",
                found.number, found.path
            ),
            "",
        );
    }
    let built = profile::read(host, &found.path, name)?;
    // The source is kept, so that the next update builds from it again.
    let source = old.source.clone().unwrap_or_default();
    let mut new = next::intent(host, name, &built, source, old.overrides.clone())?;
    new.source = old.source.clone();
    new.profile =
        old.profile.clone().or_else(|| profile_link(host, name, old).to_string_lossy().parse().ok());
    new.generation = Some(found.number);
    new.autostart = old.autostart;
    Ok((found, new))
}
