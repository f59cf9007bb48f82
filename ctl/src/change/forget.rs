//! Removes a container: after a failed create, in a remove, and when either was killed. Every step may find its work
//! already done, so the whole can be repeated until it succeeds. The state directory is deleted only if the record
//! says so.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded};

use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::change::give_back::give_back;
use crate::change::next::sources;
use crate::change::snapshot;
use crate::fact::lookup::{all_seen, find};
use crate::host::files::{is_there, remove_file, sync_directory};
use crate::host::imported::{Tool, remove_note};
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::record::{Begun, Record, StateClaim};
use crate::host::unit_links::enabled_links;
use crate::host::{gc_roots, intent_file, profile_links, runtime_files, sockets, state_directory, systemd};

/// Stops the container and removes everything that the record covers. If a step fails, the record stays and the next
/// command tries again.
pub(crate) fn forget(host: &Host, record: &Record) -> Result<()> {
    let loaded = host.load_one(&record.name);
    let Some(withdrawn) = withdraw(host, record, &loaded, Stop::Now)? else { return Ok(()) };
    if host.live() {
        if withdrawn.ours {
            systemd::reload_to(host, &record.name, None)?;
            systemd::reset_failed(host, &[&record.name]);
        } else {
            systemd::daemon_reload(host)?;
        }
    }
    delete(host, record, &withdrawn)
}

/// Whether a container still has to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Now,
    /// It was stopped, and so was every job that would start it.
    Done,
}

/// A container that is stopped and not recorded any more. PID 1 has to reload before the rest of it is deleted.
#[derive(Debug)]
pub(crate) struct Withdrawn {
    /// Whether its unit is ours: it is not a declarative container's of the same name.
    pub(crate) ours: bool,
    given_back: bool,
    links: Vec<PathBuf>,
}

/// Stops the container, and deletes its intent and the links that start it. Returns nothing if the name is somebody else's
/// by now, with which the record is finished.
pub(crate) fn withdraw(
    host: &Host,
    record: &Record,
    loaded: &Loaded,
    stop: Stop,
) -> Result<Option<Withdrawn>> {
    record.readable(host)?;
    let name = &record.name;
    all_seen(loaded)?;
    if record.step == Begun::Creating {
        if let Some(text) = intent_file::text(host, name)?.filter(|text| *text != record.details.new_intent) {
            return step_aside(host, record, &text).map(|()| None);
        }
    }
    // A declarative container of the same name is left alone; only the intent and its profile are removed.
    let ours = find(loaded, name).is_none_or(|found| found.kind() == Kind::Imperative);
    // Giving back comes last: what has these names now is the other program's.
    let given_back = match &record.details.import {
        Some(imported) => imported.has_back(host, &profile_links::profile_directory(host, name))?,
        None => false,
    };
    if ours && !given_back && host.live() && stop == Stop::Now {
        // Sockets are closed first, or a connection would start the container again.
        sockets::close(host, name)?;
        // A unit that does not run may be about to: a killed command's start is a job of PID 1, which this cancels.
        if record.step == Begun::Removing || runs_ours(host, name)? {
            systemd::stop(host, name)?;
        }
    }
    failpoint("remove-stopped");
    {
        let _global = Lock::global(host)?;
        if record.step == Begun::Removing || is_own_intent(host, record)? {
            remove_file(&intent_path(host, name))?;
            sync_directory(&host.intents())?;
        }
    }
    // The links of another program's container start the same unit when it is given back.
    let theirs = record.details.import.as_ref().is_some_and(|imported| imported.tool == Tool::Nspawn);
    let links = match ours && !given_back && !theirs && record.step == Begun::Removing {
        true => enabled_links(host, name)?,
        false => Vec::new(),
    };
    for link in &links {
        remove_file(link)?;
    }
    Ok(Some(Withdrawn { ours, given_back, links }))
}

/// Deletes the rest of a container that PID 1 does not know any more.
pub(crate) fn delete(host: &Host, record: &Record, withdrawn: &Withdrawn) -> Result<()> {
    let Withdrawn { ours, given_back, ref links } = *withdrawn;
    let name = &record.name;
    failpoint("remove-forgotten");
    let profile = profile_directory(host, record);
    let made = record.step == Begun::Removing || record.details.made_profile;
    if !given_back && (made || profile_links::is_adoptable(host, &profile)?) {
        profile_links::remove_profile(host, &profile)?;
    }
    if record.step == Begun::Removing {
        remove_file(&host.gc_roots().join(name.as_str()))?;
        gc_roots::remove_all(host, name)?;
    } else if let Ok(intent) = parse(record.details.new_intent.as_bytes(), name) {
        gc_roots::remove_own(host, name, &intent.toplevel)?;
    }
    if ours && !given_back {
        runtime_files::remove_all(host, name)?;
        state_directory::delete_claimed(host, name, &record.details.state)?;
        match (record.step, &record.details.state) {
            (Begun::Removing, StateClaim::Asked) => snapshot::delete_all(host, name)?,
            (Begun::Removing, _) => snapshot::unbind(host, name)?,
            _ => {}
        }
    }
    let made = &record.details.missing_sources;
    let others: BTreeSet<PathBuf> = match made.is_empty() {
        true => BTreeSet::new(),
        false => {
            let loaded = host.load();
            let others = loaded.intents.iter().filter(|stored| stored.name != *name);
            others.flat_map(|stored| sources(&stored.intent)).collect()
        }
    };
    for source in made.iter().filter(|source| !others.contains(*source)) {
        // Only empty ones: a container that ran may have put data there.
        let _ = fs::remove_dir(host.path(source));
    }
    give_back(host, record)?;
    if record.details.state == StateClaim::Asked {
        remove_note(host, name)?;
    }
    sync_removed(host, &profile, links)?;
    failpoint("given-back");
    record.finish(host)
}

/// Syncs the directories that something was removed from. After a power failure, it must not be there again without the
/// record.
fn sync_removed(host: &Host, profile: &Path, links: &[PathBuf]) -> Result<()> {
    let below = host.directory(profile);
    let mut directories = BTreeSet::from([host.gc_roots(), host.machines()]);
    directories.insert(host.path(profile_links::INDIRECT_ROOTS));
    // The directory of the profile stays if it has files of others.
    directories.extend(below.parent().map(Path::to_owned).filter(|_| !profile.as_os_str().is_empty()));
    directories.extend(Some(below).filter(|_| !profile.as_os_str().is_empty()));
    directories.extend(links.iter().filter_map(|link| link.parent()).map(Path::to_owned));
    for directory in directories {
        if is_there(&directory)? {
            sync_directory(&directory)?;
        }
    }
    Ok(())
}

/// Abandons a create whose name now has somebody else's intent: removes only the create's profile, unless that intent
/// uses it.
fn step_aside(host: &Host, record: &Record, intent: &str) -> Result<()> {
    let profile = profile_directory(host, record);
    let used = profile.to_str().is_none_or(|path| intent.contains(path));
    if !used && (record.details.made_profile || profile_links::is_adoptable(host, &profile)?) {
        profile_links::remove_profile(host, &profile)?;
        sync_removed(host, &profile, &[])?;
    }
    if let Some(imported) = &record.details.import {
        // The other container may run on the state by now; `import --undo` moves it back when the administrator says so.
        imported.note(host, &record.name)?;
    }
    record.finish(host)
}

/// Returns whether the unit of this name runs with our settings. A create that was killed early has started nothing,
/// and an administrator may have used the name since.
fn runs_ours(host: &Host, name: &MachineName) -> Result<bool> {
    if systemd::state(host, name)?.plan.is_some() {
        return Ok(true);
    }
    let copy = copies::copy_path(&host.root, name);
    match copies::marked(&copy) {
        Ok(mark) => Ok(mark.is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be read", copy.display())),
    }
}

/// Returns whether the recorded intent is the one that the create wrote: somebody may have written another one since.
fn is_own_intent(host: &Host, record: &Record) -> Result<bool> {
    Ok(intent_file::text(host, &record.name)?.is_some_and(|text| text == record.details.new_intent))
}

/// Returns the recorded directory of the profile, or the one where create makes it. Returns an empty path if nothing
/// proves that it is the container's.
fn profile_directory(host: &Host, record: &Record) -> PathBuf {
    let recorded = &record.details.profile_directory;
    if !recorded.as_os_str().is_empty() {
        recorded.clone()
    } else if record.step == Begun::Removing {
        profile_links::proven_directory(host, &record.name)
    } else {
        profile_links::profile_directory(host, &record.name)
    }
}
