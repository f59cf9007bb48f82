//! Removes containers whose locks are held. They are stopped in parallel, and systemd reloads once for all of them.

use std::collections::BTreeSet;
use std::io;
use std::io::ErrorKind;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded};

use crate::base::event::Event;
use crate::base::exit::{refuse, unchanged};
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::forget::{Stop, Withdrawn, delete, forget, withdraw};
use crate::change::profile_steps::remove_pending;
use crate::change::removal::{Removal, RemoveOptions, Removed, found, left, profile_directory, removal};
use crate::change::settle;
use crate::change::several::{Results, all_failed};
use crate::fact::dependents::Requiring;
use crate::fact::lookup::{Found, all_seen};
use crate::host::intent_file::intent_path;
use crate::host::pending::pending;
use crate::host::record::{Begun, Record, RecordDetails, StateClaim};
use crate::host::{sockets, state_directory, systemd};

/// A removal whose record is written.
struct Recorded<'a> {
    found: Found<'a>,
    record: Record,
    removal: Removal,
}

impl Recorded<'_> {
    fn name(&self) -> &MachineName {
        &self.record.name
    }

    /// Whether its unit is to be stopped: that of a declarative container of the same name keeps running.
    fn stops(&self, host: &Host) -> bool {
        host.live() && self.found.kind() == Kind::Imperative
    }
}

/// All containers, and what killed commands have left.
struct All<'a> {
    records: &'a [Record],
    loaded: &'a Loaded,
    requiring: Requiring<'a>,
}

/// How far a removal has come before anything is stopped.
enum Begin<'a> {
    Done(Removed),
    Recorded(Box<Recorded<'a>>),
}

/// Removes containers.
pub(super) fn remove_locked(
    host: &Host,
    names: &[&MachineName],
    options: RemoveOptions,
) -> Result<Results<Removed>> {
    let mut done = Results::new();
    let records = pending(host)?;
    let loaded = host.load();
    let all = All { records: &records, loaded: &loaded, requiring: Requiring::of(&loaded) };
    let mut recorded = Vec::new();
    for &name in names {
        match begin(host, name, options, &all) {
            Ok(Begin::Recorded(one)) => recorded.push(*one),
            Ok(Begin::Done(removed)) => drop(done.insert(name.clone(), Ok(removed))),
            Err(error) => drop(done.insert(name.clone(), Err(error))),
        }
    }
    let stopped = stop_all(host, recorded, &mut done);
    let withdrawn = withdraw_all(host, stopped, &mut done);
    let unloaded = unload_all(host, withdrawn, &mut done);
    for (one, withdrawn) in unloaded {
        let name = one.name().clone();
        let deleted = delete(host, &one.record, &withdrawn);
        done.insert(name, deleted.map(|()| Removed::Container(one.removal)));
    }
    for (name, result) in &done {
        let Ok(Removed::Container(removal)) = result else { continue };
        // What is removed with it needs no word.
        for other in removal.dependents.iter().filter(|other| !names.contains(other)) {
            host.report(Event::RequiredBy { name: name.clone(), other: other.clone() });
        }
    }
    Ok(done)
}

/// Checks one container, and records that it is removed. What a killed command has left of it is removed at once.
fn begin<'a>(host: &Host, name: &MachineName, options: RemoveOptions, all: &All<'a>) -> Result<Begin<'a>> {
    let All { records, loaded, requiring } = all;
    interrupt::check()?;
    let before = records.iter().find(|record| record.name == *name).cloned();
    if before.as_ref().is_none_or(|record| record.step == Begun::Renaming) {
        settle::settled_in(records, name)?;
    }
    // A killed create or remove: the container is removed in either case.
    if let Some(record) = before.clone().filter(|record| record.step != Begun::Updating) {
        return half_done(host, record, options).map(Begin::Done);
    }
    let Some(found) = found(host, loaded, name)? else {
        return Ok(Begin::Done(Removed::Absent(left(host, name, options))));
    };
    let shadowed = found.kind() == Kind::Declarative;
    if shadowed && options.delete_state {
        return unchanged(
            format!(
                "{}: the state belongs to the declarative container '{name}'",
                state_directory::directory(host, name).display()
            ),
            "leave out --delete-state",
        );
    }
    if options.delete_state {
        state_directory::check(host, name)?;
    }
    let removal = removal(host, name, options, &found, requiring)?;
    let details = RecordDetails {
        profile_directory: profile_directory(host, &found, name),
        state: if options.delete_state { StateClaim::Asked } else { StateClaim::None },
        ..RecordDetails::default()
    };
    let record = record(host, name, details)?;
    if let Some(update) = before {
        // Leftovers of a killed update are removed with the rest.
        remove_pending(host, &update.details.profile_directory);
        update.finish(host)?;
    }
    Ok(Begin::Recorded(Box::new(Recorded { found, record, removal })))
}

/// Completes a killed remove, or takes a killed create away.
fn half_done(host: &Host, mut record: Record, options: RemoveOptions) -> Result<Removed> {
    let name = record.name.clone();
    record.readable(host)?;
    all_seen(&host.load_one(&name))?;
    if let Some(imported) = record.details.import.as_ref().filter(|_| options.delete_state) {
        // It goes back to the other program, and its state with it.
        forget(host, &record)?;
        let program = imported.tool.program();
        return refuse(format!(
            "container '{name}' belongs to {program} again, and so does its state, which was not deleted"
        ));
    }
    if options.delete_state {
        state_directory::check(host, &name)?;
        record.details.state = StateClaim::Asked;
    }
    forget(host, &record)?;
    Ok(Removed::HalfDone(vec![intent_path(host, &name), record.details.profile_directory.clone()]))
}

/// Records the removal, which must work on a full disk as well.
fn record(host: &Host, name: &MachineName, details: RecordDetails) -> Result<Record> {
    match Record::begin(host, name, Begun::Removing, details.clone()) {
        Err(error) if is_full(&error) => Record::begin_removal_without_room(host, name, details),
        begun => begun,
    }
}

/// Returns whether the error means that the disk is full.
fn is_full(error: &anyhow::Error) -> bool {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| full.contains(&error.kind()))
}

/// Stops the containers. Returns those that go on: a container that cannot be stopped stays as it is.
fn stop_all<'a>(
    host: &Host,
    recorded: Vec<Recorded<'a>>,
    done: &mut Results<Removed>,
) -> Vec<(Recorded<'a>, Stop)> {
    let several = stop_together(host, &recorded);
    let mut stopped = Vec::new();
    for one in recorded {
        let how = if several.contains(one.name()) { Stop::Done } else { Stop::Now };
        let result = match how {
            Stop::Now if one.stops(host) => stop(host, &one.found, one.name()),
            Stop::Now | Stop::Done => Ok(()),
        };
        match result {
            Ok(()) => stopped.push((one, how)),
            Err(error) => {
                let name = one.name().clone();
                // Where the record cannot be withdrawn, the next command removes the container.
                let kept = one.record.cancel_removal(host).and(Err(error));
                done.insert(name, kept);
            }
        }
    }
    stopped
}

/// Stops several containers at once. Returns those that have stopped; for the others, another attempt tells why.
fn stop_together(host: &Host, recorded: &[Recorded]) -> BTreeSet<MachineName> {
    let names: Vec<&MachineName> =
        recorded.iter().filter(|one| one.stops(host)).map(Recorded::name).collect();
    if names.len() < 2 {
        return BTreeSet::new();
    }
    let stopped = sockets::close_these(host, &names).and_then(|()| systemd::stop_all(host, &names));
    stopped.unwrap_or_default()
}

/// Stops the container, and keeps connections from starting it again meanwhile.
fn stop(host: &Host, found: &Found, name: &MachineName) -> Result<()> {
    let stopped = sockets::close(host, name).and_then(|()| {
        if systemd::state(host, name)?.stopped() { Ok(()) } else { systemd::stop(host, name) }
    });
    stopped.map_err(|error| {
        if let Found::Good(stored) = found {
            // It continues as before. The first error is the one that matters.
            let _ = sockets::align(host, name, None, &stored.intent);
        }
        error.context(format!("container '{name}' cannot be stopped, nothing was removed"))
    })
}

/// Deletes the intents. Returns the containers whose units PID 1 has to forget.
fn withdraw_all<'a>(
    host: &Host,
    stopped: Vec<(Recorded<'a>, Stop)>,
    done: &mut Results<Removed>,
) -> Vec<(Recorded<'a>, Withdrawn)> {
    let mut withdrawn = Vec::new();
    let loaded = host.load_these(&stopped.iter().map(|(one, _)| one.name()).collect::<Vec<_>>());
    for (one, stop) in stopped {
        match withdraw(host, &one.record, &loaded, stop) {
            Ok(Some(rest)) => withdrawn.push((one, rest)),
            Ok(None) => drop(done.insert(one.name().clone(), Ok(Removed::Container(one.removal)))),
            Err(error) => drop(done.insert(one.name().clone(), Err(error))),
        }
    }
    withdrawn
}

/// Has PID 1 forget the units. Returns the containers of which it did.
fn unload_all<'a>(
    host: &Host,
    withdrawn: Vec<(Recorded<'a>, Withdrawn)>,
    done: &mut Results<Removed>,
) -> Vec<(Recorded<'a>, Withdrawn)> {
    if !host.live() || withdrawn.is_empty() {
        return withdrawn;
    }
    let ours = || withdrawn.iter().filter(|(_, rest)| rest.ours).map(|(one, _)| one.name());
    let plans = ours().map(|name| (name.clone(), None)).collect();
    let mut faults = match systemd::reload_all(host, &plans) {
        Ok(faults) => faults,
        Err(error) => {
            let all: Vec<_> = withdrawn.iter().map(|(one, _)| one.name()).collect();
            done.extend(all_failed(&all, error));
            return Vec::new();
        }
    };
    systemd::reset_failed(host, &ours().collect::<Vec<_>>());
    let mut unloaded = Vec::new();
    for (one, rest) in withdrawn {
        match faults.remove(one.name()) {
            Some(error) => drop(done.insert(one.name().clone(), Err(error))),
            None => unloaded.push((one, rest)),
        }
    }
    unloaded
}
