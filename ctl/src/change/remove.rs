//! Removing a container: it is stopped and forgotten, and its profile is deleted; the state stays unless asked.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded};

use crate::base::event::Event;
use crate::base::exit::{refuse, unchanged};
use crate::base::host::Host;
use crate::change::forget::forget;
use crate::change::profile_steps::remove_pending;
use crate::fact::dependents;
use crate::fact::lookup::{Found, declarative, find, need_directory};
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::record::{Begun, Record, RecordDetails, pending};
use crate::host::{profile_links, sockets, state_directory, systemd};

/// How to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoveOptions {
    /// Deletes the state as well.
    pub(crate) delete_state: bool,
    /// Changes nothing.
    pub(crate) dry_run: bool,
}

/// What became of a container, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    /// There was one.
    Container(Removal),
    /// A killed command had left it half done; these paths were deleted.
    HalfDone(Vec<PathBuf>),
    /// There is none.
    Absent(Left),
}

/// What a removal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Whether it ran, and so is stopped.
    pub(crate) stopped: bool,
    /// Intent, profile folder with all generations, state.
    pub(crate) deleted: Vec<PathBuf>,
    /// The state that stays.
    pub(crate) kept: Option<PathBuf>,
    /// Containers that require it.
    pub(crate) dependents: Vec<MachineName>,
}

/// What there is of a container that is not recorded. An intent may have been deleted by hand, and what has no record may
/// be somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether its unit runs.
    pub(crate) runs: bool,
    /// A profile folder of its name.
    pub(crate) profile: Option<PathBuf>,
    /// A state directory of its name, where that was to be deleted.
    pub(crate) state: Option<PathBuf>,
}

/// Removes a container.
pub(crate) fn remove(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    if options.dry_run {
        return dry_run(host, name, options);
    }
    let _lock = Lock::container(host, name)?;
    // A killed create or remove: whatever it was, now it goes.
    if let Some(mut record) = pending(host).into_iter().find(|record| record.name == *name) {
        if record.step == Begun::Updating {
            // Whatever it was about, the container goes as a whole.
            remove_pending(host, &record.details.profile_directory);
            record.finish(host)?;
        } else {
            record.details.delete_state |= options.delete_state;
            forget(host, &record)?;
            let deleted = vec![intent_path(host, name), record.details.profile_directory.clone()];
            return Ok(Removed::HalfDone(deleted));
        }
    }
    let loaded = host.load();
    need_directory(&loaded)?;
    let Some(found) = found(host, find(&loaded, name), name)? else {
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
    // While nothing is recorded as begun, a container that cannot be stopped stays as it is.
    if !shadowed && host.live() {
        stop(host, &found, name)?;
    }
    let details = RecordDetails {
        profile_directory: profile_directory(host, &found, name),
        delete_state: options.delete_state,
        ..RecordDetails::default()
    };
    let record = Record::begin(host, name, Begun::Removing, details)?;
    forget(host, &record)?;
    for other in &removal.dependents {
        host.report(Event::RequiredBy { name: name.clone(), other: other.clone() });
    }
    Ok(Removed::Container(removal))
}

fn dry_run(host: &Host, name: &MachineName, options: RemoveOptions) -> Result<Removed> {
    let loaded = host.load();
    need_directory(&loaded)?;
    let Some(found) = found(host, find(&loaded, name), name)? else {
        return Ok(Removed::Absent(left(host, name, options)));
    };
    if options.delete_state {
        state_directory::check(host, name)?;
    }
    removal(host, name, options, &found, &loaded).map(Removed::Container)
}

/// What a removal is about, before anything is done.
fn removal(
    host: &Host,
    name: &MachineName,
    options: RemoveOptions,
    found: &Found,
    loaded: &Loaded,
) -> Result<Removal> {
    let state = state_directory::directory(host, name);
    // A declarative container of that name goes on.
    let ours = found.kind() == Kind::Imperative;
    let mut removal = Removal {
        stopped: ours && host.live() && !systemd::state(host, name)?.stopped(),
        deleted: vec![intent_path(host, name), profile_directory(host, found, name)],
        kept: None,
        dependents: dependents::requiring(loaded, name),
    };
    if options.delete_state {
        removal.deleted.push(state);
    } else {
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
            // It goes on as it was. The first error is the one that matters.
            let _ = sockets::align(host, name, None, &stored.intent);
        }
        error.context(format!("container '{name}' cannot be stopped, nothing was removed"))
    })
}

/// The container, if it is one that this program may remove.
fn found<'a>(host: &Host, found: Option<Found<'a>>, name: &MachineName) -> Result<Option<Found<'a>>> {
    match found {
        Some(found) if found.kind() == Kind::Declarative => {
            // An imperative file of the same name is hidden by it, and is what the user means.
            if intent_path(host, name).symlink_metadata().is_ok() {
                Ok(Some(found))
            } else {
                refuse(declarative(name))
            }
        }
        None => {
            let path = host.path(host.scope.nspawn_files[0]).join(format!("{name}.nspawn"));
            if path.symlink_metadata().is_ok() {
                return unchanged(
                    format!("{}: '{name}' is a container that nixos-nspawn does not manage", path.display()),
                    "",
                );
            }
            Ok(None)
        }
        found => Ok(found),
    }
}

/// What is left of a container that is not recorded.
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

/// Where the profile of a container is: as recorded, else where a create would have made it.
fn profile_directory(host: &Host, found: &Found, name: &MachineName) -> PathBuf {
    let recorded = match found {
        Found::Good(stored) => stored.intent.profile.as_ref(),
        Found::Broken(_) => None,
    };
    let default = profile_links::profile_directory(host, name);
    // Only a folder that is named after the container is its own; an intent by hand may name any profile.
    recorded
        .and_then(|profile| Path::new(profile.as_str()).parent())
        .filter(|folder| folder.file_name() == default.file_name())
        .map_or(default, Path::to_owned)
}
