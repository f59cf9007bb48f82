//! Removes a container: stops it, deletes its intent and profile, and keeps its state unless asked to delete it.

use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded, Stored};

use crate::base::event::Event;
use crate::base::exit::{refuse, unchanged};
use crate::base::host::Host;
use crate::change::forget::forget;
use crate::change::profile_steps::remove_pending;
use crate::change::settle;
use crate::fact::dependents;
use crate::fact::lookup::{Found, all_seen, declarative, find};
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::record::{Begun, Record, RecordDetails, StateClaim, pending};
use crate::host::subvolume::Btrfs;
use crate::host::{profile_links, snapshots, sockets, state_directory, systemd};

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

/// Removes a container.
pub(crate) fn remove(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    if options.dry_run {
        return dry_run(host, name, options);
    }
    let _lock = Lock::container(host, name)?;
    remove_locked(host, name, options)
}

/// Removes a container, and keeps its state, if it is still as `wanted` when nobody else can change it any more. Returns
/// whether it was removed.
pub(crate) fn remove_if(host: &Host, name: &MachineName, wanted: impl Fn(&Stored) -> bool) -> Result<bool> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load();
    match find(&loaded, name) {
        Some(Found::Good(stored)) if wanted(stored) => {}
        _ => return Ok(false),
    }
    remove_locked(host, name, RemoveOptions { delete_state: false, dry_run: false })?;
    Ok(true)
}

fn remove_locked(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    let before = pending(host)?.into_iter().find(|record| record.name == *name);
    if before.as_ref().is_none_or(|record| record.step == Begun::Renaming) {
        settle::settled(host, name)?;
    }
    // A killed create or remove: the container is removed in either case.
    if let Some(mut record) = before.clone().filter(|record| record.step != Begun::Updating) {
        record.readable(host)?;
        all_seen(&host.load_one(name))?;
        if let Some(imported) = record.details.import.as_ref().filter(|_| options.delete_state) {
            // It goes back to the other program, and its state with it.
            forget(host, &record)?;
            let program = imported.tool.program();
            return refuse(format!(
                "container '{name}' belongs to {program} again, and so does its state, which was not deleted"
            ));
        }
        if options.delete_state {
            state_directory::check(host, name)?;
            record.details.state = StateClaim::Asked;
        }
        forget(host, &record)?;
        let deleted = vec![intent_path(host, name), record.details.profile_directory.clone()];
        return Ok(Removed::HalfDone(deleted));
    }
    let loaded = host.load();
    let Some(found) = found(host, &loaded, name)? else {
        return Ok(Removed::Absent(left(host, name, options)));
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
    let removal = removal(host, name, options, &found, &loaded)?;
    let details = RecordDetails {
        profile_directory: profile_directory(host, &found, name),
        state: if options.delete_state { StateClaim::Asked } else { StateClaim::None },
        ..RecordDetails::default()
    };
    let record = begin(host, name, details)?;
    if let Some(update) = before {
        // Leftovers of a killed update are removed with the rest.
        remove_pending(host, &update.details.profile_directory);
        update.finish(host)?;
    }
    if !shadowed && host.live() {
        if let Err(error) = stop(host, &found, name) {
            // A container that cannot be stopped stays as it is.
            record.cancel_removal(host)?;
            return Err(error);
        }
    }
    forget(host, &record)?;
    for other in &removal.dependents {
        host.report(Event::RequiredBy { name: name.clone(), other: other.clone() });
    }
    Ok(Removed::Container(removal))
}

/// Records the removal, which must work on a full disk as well.
fn begin(host: &Host, name: &MachineName, details: RecordDetails) -> Result<Record> {
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

fn dry_run(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    let loaded = host.load();
    let Some(found) = found(host, &loaded, name)? else {
        return Ok(Removed::Absent(left(host, name, options)));
    };
    if options.delete_state {
        state_directory::check(host, name)?;
    }
    removal(host, name, options, &found, &loaded).map(Removed::Container)
}

/// Returns what a remove covers, before anything is done.
fn removal(
    host: &Host,
    name: &MachineName,
    options: RemoveOptions,
    found: &Found,
    loaded: &Loaded,
) -> Result<Removal> {
    let state = state_directory::directory(host, name);
    // A declarative container of that name keeps running.
    let ours = found.kind() == Kind::Imperative;
    let profile = Some(profile_directory(host, found, name)).filter(|path| !path.as_os_str().is_empty());
    let mut removal = Removal {
        stopped: ours && host.live() && !systemd::state(host, name)?.stopped(),
        deleted: std::iter::once(intent_path(host, name)).chain(profile.clone()).collect(),
        profile,
        kept: None,
        snapshots: None,
        dependents: dependents::requiring(loaded, name),
    };
    let snapshots = if ours { snapshots::read(host, name)? } else { Vec::new() };
    let kept = Some(snapshots::directory(host, name)).filter(|_| !snapshots.is_empty());
    if options.delete_state {
        removal.deleted.extend(Some(state).filter(|_| state_directory::exists(host, name)));
        if kept.is_some() {
            Btrfs::find(host)?;
        }
        removal.deleted.extend(kept);
    } else {
        removal.snapshots = kept;
        removal.kept = Some(state).filter(|_| state_directory::exists(host, name));
    }
    Ok(removal)
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

/// Returns the container, if this program may remove it.
fn found<'a>(host: &Host, loaded: &'a Loaded, name: &MachineName) -> Result<Option<Found<'a>>> {
    match find(loaded, name) {
        Some(found) if found.kind() == Kind::Declarative => {
            // The declarative container shadows an imperative one of the same name, which is the one that the user
            // means.
            if intent_path(host, name).symlink_metadata().is_ok() {
                Ok(Some(found))
            } else {
                refuse(declarative(name))
            }
        }
        None => {
            all_seen(loaded)?;
            let path = host.path(host.scope.nspawn_files[0]).join(format!("{name}.nspawn"));
            if path.symlink_metadata().is_ok() {
                return unchanged(
                    format!("{}: '{name}' is a container that nixos-nspawn does not manage", path.display()),
                    "",
                );
            }
            Ok(None)
        }
        Some(Found::Broken(error)) => {
            // Where the directory itself is wrong, it is not known whose file this is.
            all_seen(loaded)?;
            Ok(Some(Found::Broken(error)))
        }
        found => Ok(found),
    }
}

/// Returns what is left of a container that is not recorded.
fn left(host: &Host, name: &MachineName, options: RemoveOptions) -> Left {
    let profile = profile_links::profile_directory(host, name);
    let there = |profile: &PathBuf| host.path(profile).symlink_metadata().is_ok();
    let stays = options.delete_state && state_directory::exists(host, name);
    Left {
        runs: host.live() && systemd::state(host, name).is_ok_and(|state| !state.stopped()),
        profile: Some(profile).filter(there),
        state: stays.then(|| state_directory::directory(host, name)),
    }
}

/// Returns the directory of the profile: the recorded one, or where a create would have made it if that is proven to be
/// the container's. Otherwise returns an empty path.
pub(super) fn profile_directory(host: &Host, found: &Found, name: &MachineName) -> PathBuf {
    let recorded = match found {
        Found::Good(stored) => stored.intent.profile.as_ref(),
        Found::Broken(_) => None,
    };
    let Some(profile) = recorded.map(|profile| Path::new(profile.as_str())) else {
        return profile_links::proven_directory(host, name);
    };
    // Only a profile named as create names it belongs to the container; a hand-written intent may name any.
    let own = Path::new(name.as_str()).join("system");
    profile.parent().filter(|_| profile.ends_with(own)).map(Path::to_owned).unwrap_or_default()
}
