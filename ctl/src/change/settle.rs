//! Settles what killed commands left behind, before a command that changes something begins.
//! [`crate::decision::settlement`] decides from what is observed.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Stored};
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::{exit, interrupt};
use crate::change::effect::StartLimit;
use crate::change::forget::forget;
use crate::change::next::limit_or_start;
use crate::change::profile_steps::remove_pending;
use crate::change::take_back::{Way, take_back};
use crate::change::{effect, kept_edit, load, rename_steps, snapshot};
use crate::decision::settlement::{
    Observed, Settlement, SwitchObserved, SwitchSettlement, settlement, switch,
};
use crate::fact::dependents;
use crate::fact::lookup::imperative;
use crate::host::files::is_there;
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::pending::pending;
use crate::host::record::{Begun, Record, StateClaim};
use crate::host::update_memory::{Failure, FailureKind, UpdateMemory};
use crate::host::{gc_roots, inside, intent_file, networkd, profile_links, runtime_files, sockets, systemd};
use crate::nix::tool::Nix;

/// Settles all records except those of `except` and of containers that another command is working on. Returns those
/// that could not be settled, with the exit codes of the reasons: a failure does not affect other containers, and the
/// next command tries again.
pub(crate) fn settle_all(host: &Host, except: &[MachineName]) -> BTreeMap<MachineName, u8> {
    let mut failed = BTreeMap::new();
    let records = match pending(host) {
        Ok(records) => records,
        Err(error) => {
            host.report(Event::RecordsUnread { error: format!("{error:#}") });
            return failed;
        }
    };
    let stays = |record: &Record| record.step != Begun::Renaming && except.contains(&record.name);
    for record in records.into_iter().filter(|record| !stays(record)) {
        if let Err(error) = settle_if_free(host, &record.name) {
            host.report(Event::NotSettled { name: record.name.clone(), error: format!("{error:#}") });
            failed.insert(record.name, exit::code(&error));
        }
    }
    runtime_files::sweep_unfinished(host, |name| matches!(Lock::container_if_free(host, name), Ok(Some(_))));
    failed
}

fn settle_if_free(host: &Host, name: &MachineName) -> Result<()> {
    let Some(_lock) = Lock::container_if_free(host, name)? else { return Ok(()) };
    // The other command may have ended between listing and locking.
    match pending(host)?.into_iter().find(|record| record.name == *name) {
        Some(record) => {
            let _other = match &record.details.to {
                Some(to) => match Lock::container_if_free(host, to)? {
                    Some(lock) => Some(lock),
                    None => return Ok(()),
                },
                None => None,
            };
            settle(host, &record)
        }
        None => Ok(()),
    }
}

/// Locks a container whose record is settled. A command that held the lock meanwhile may have been killed.
pub(crate) fn lock(host: &Host, name: &MachineName) -> Result<Lock> {
    let lock = Lock::container(host, name)?;
    settled(host, name)?;
    Ok(lock)
}

/// Locks two containers whose records are settled. All commands lock them in the same order.
pub(crate) fn lock_both(host: &Host, one: &MachineName, other: &MachineName) -> Result<(Lock, Lock)> {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    Ok((lock(host, first)?, lock(host, second)?))
}

/// Fails if a killed command has left this container incomplete, or was giving its name to another.
pub(crate) fn settled(host: &Host, name: &MachineName) -> Result<()> {
    settled_in(&pending(host)?, name)
}

/// Does the same with records that were read while the lock was held.
pub(crate) fn settled_in(records: &[Record], name: &MachineName) -> Result<()> {
    let of = |record: &&Record| record.name == *name || record.details.to.as_ref() == Some(name);
    match records.iter().find(of) {
        Some(record) => Err(Failed::Unsettled(record.name.clone()).into()),
        None => Ok(()),
    }
}

fn settle(host: &Host, record: &Record) -> Result<()> {
    record.readable(host)?;
    let name = &record.name;
    let observed = Observed {
        step: record.step,
        phase: record.details.phase,
        recorded: is_there(&intent_path(host, name))?,
        own_state: !matches!(record.details.state, StateClaim::None),
    };
    match settlement(observed) {
        Settlement::Switch => settle_switch(host, record),
        Settlement::Rename => rename_steps::settle(host, record),
        Settlement::Keep { load } => {
            if load {
                let loaded = host.load_one(name);
                load::load(host, name, imperative(&loaded, name)?)?;
            }
            host.report(Event::CreateAccepted { name: name.clone() });
            record.finish(host)
        }
        Settlement::TakeAway { state } => {
            host.report(Event::CreateTakenBack { name: name.clone() });
            let mut record = record.clone();
            if !state {
                record.details.state = StateClaim::None;
            }
            forget(host, &record)
        }
        Settlement::Finish => {
            debug_assert_eq!(record.step, Begun::Removing);
            host.report(Event::RemoveFinished { name: name.clone() });
            forget(host, record)
        }
    }
}

fn settle_switch(host: &Host, record: &Record) -> Result<()> {
    let name = &record.name;
    let loaded = host.load_one(name);
    let recorded =
        loaded.intents.iter().find(|stored| stored.name == *name && stored.kind == Kind::Imperative);
    match switch(observe(host, record, recorded)?) {
        SwitchSettlement::NeedsSystem => unchanged(
            format!("container '{name}' was left half updated"),
            "a command on the running system settles it",
        ),
        SwitchSettlement::DropBuild => {
            snapshot::keep(host, name)?;
            not_left(host, record);
            remove_pending(host, &record.details.profile_directory);
            record.finish(host)
        }
        SwitchSettlement::KeepEdit => {
            not_left(host, record);
            let edited = intent_file::text(host, name)?.unwrap_or_default();
            kept_edit::keep(host, &Nix::find(host)?, record, &edited)
        }
        SwitchSettlement::Accept => {
            let Some(recorded) = recorded else { return Ok(()) };
            host.report(Event::UpdateAccepted { name: name.clone() });
            remember(host, record, UpdateMemory::works);
            accept(host, record, recorded)
        }
        SwitchSettlement::Keep { restart } => {
            let Some(recorded) = recorded else { return Ok(()) };
            host.report(Event::UpdateKept { name: name.clone() });
            if restart {
                let plan = intent_file::hash(name, &recorded.intent);
                systemd::reload_to(host, name, plan.as_deref())?;
                let limit = StartLimit::systemd(limit_or_start(None, &recorded.intent));
                if let Err(error) = effect::restart(host, name, plan.as_deref(), limit) {
                    interrupt::check()?;
                    host.report(Event::NewGenerationDown { error: format!("{error:#}") });
                }
            }
            accept(host, record, recorded)
        }
        SwitchSettlement::Restore { restart } => {
            host.report(Event::UpdateTakenBack { name: name.clone() });
            not_left(host, record);
            if record.details.phase.touched() {
                remember(host, record, |memory, output| {
                    if memory.failed(output).is_none() {
                        let reason = "it was killed while the container was activated";
                        memory.fails(Failure::now(FailureKind::Failed, reason, Some(output.clone())));
                    }
                });
            }
            let way = if restart { Way::Restart } else { Way::Recorded };
            take_back(host, &Nix::find(host)?, &mut record.clone(), way)
        }
    }
}

/// Changes what updates remember of the profile that was switched to, while its link is there.
fn remember(host: &Host, record: &Record, change: impl FnOnce(&mut UpdateMemory, &StorePath)) {
    let details = &record.details;
    let Ok(new) = parse(details.new_intent.as_bytes(), &record.name) else { return };
    let Some(number) = new.generation.filter(|number| *number > details.newest_generation) else { return };
    let link = details.profile_directory.join(format!("system-{number}-link"));
    let Ok(target) = fs::read_link(host.path(&link)) else { return };
    let Ok(output) = target.to_string_lossy().parse::<StorePath>() else { return };
    let folder = &details.profile_directory;
    if let Err(error) = UpdateMemory::change(host, &record.name, folder, |memory| change(memory, &output)) {
        host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
    }
}

/// Forgets that a rollback has left a profile, since it is undone.
fn not_left(host: &Host, record: &Record) {
    let Some(left) = &record.details.left else { return };
    let folder = &record.details.profile_directory;
    if let Err(error) = UpdateMemory::change(host, &record.name, folder, |memory| memory.wanted(left)) {
        host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
    }
}

fn observe(host: &Host, record: &Record, recorded: Option<&Stored>) -> Result<SwitchObserved> {
    let name = &record.name;
    let details = &record.details;
    let mut seen = SwitchObserved {
        live: host.live(),
        phase: details.phase,
        reload: details.reload.as_ref().is_some_and(|boot| *boot == host.boot_id()),
        ran: details.ran,
        recorded: recorded.is_some(),
        new_recorded: false,
        edited: false,
        active: false,
        started_as_recorded: false,
        runs_recorded: false,
        only_takes_away: details.only_takes_away,
    };
    let Some(recorded) = recorded.filter(|_| seen.live) else { return Ok(seen) };
    let text = intent_file::text(host, name)?.unwrap_or_default();
    seen.new_recorded = text == details.new_intent;
    seen.edited = !seen.new_recorded && text != details.old_intent;
    seen.active = systemd::state(host, name)?.active == "active";
    let started_with = runtime_files::mark(host, name);
    seen.started_as_recorded =
        started_with.is_some() && started_with == intent_file::hash(name, &recorded.intent);
    let inside = inside::current_system(host, name).or_else(|| gc_roots::running_toplevel(host, name));
    seen.runs_recorded = inside.is_some_and(|system| system == recorded.intent.toplevel);
    Ok(seen)
}

/// Keeps the new generation.
fn accept(host: &Host, record: &Record, recorded: &Stored) -> Result<()> {
    let name = &record.name;
    // It may have been started by hand or by a boot before the switch completed.
    networkd::apply(host, name);
    let old = parse(record.details.old_intent.as_bytes(), name).ok();
    sockets::align(host, name, old.as_ref(), &recorded.intent)?;
    gc_roots::keep(host, name, &recorded.intent.toplevel)?;
    snapshot::keep(host, name)?;
    if record.details.reload.is_some() {
        gc_roots::keep_running(host, name, &recorded.intent.toplevel)?;
    }
    remove_pending(host, &record.details.profile_directory);
    dependents::start_again(host, &record.details.dependents);
    profile_links::sync(host, &record.details.profile_directory)?;
    record.finish(host)
}
